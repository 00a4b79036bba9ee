//! Which catalog entry a name means: genai-prices' clauses, without regard to case.

use crate::glob::Globs;
use regex_lite::Regex;

use super::BadPrices;
use super::segment::Clause;

#[derive(Debug)]
pub(super) enum Matcher {
    Equals(String),
    StartsWith(String),
    EndsWith(String),
    Contains(String),
    Regex(Regex),
    Any(Vec<Matcher>),
    All(Vec<Matcher>),
    Not(Box<Matcher>),
}

impl Matcher {
    pub fn compile(clause: &Clause) -> Result<Self, BadPrices> {
        Ok(match clause {
            Clause::Equals(text) => Self::Equals(text.to_lowercase()),
            Clause::StartsWith(text) => Self::StartsWith(text.to_lowercase()),
            Clause::EndsWith(text) => Self::EndsWith(text.to_lowercase()),
            Clause::Contains(text) => Self::Contains(text.to_lowercase()),
            Clause::Regex(pattern) => Self::Regex(regex(pattern)?),
            Clause::Or(clauses) => Self::Any(Self::compile_all(clauses)?),
            Clause::And(clauses) => Self::All(Self::compile_all(clauses)?),
            Clause::Not(clause) => Self::Not(Box::new(Self::compile(clause)?)),
        })
    }

    fn compile_all(clauses: &[Clause]) -> Result<Vec<Self>, BadPrices> {
        clauses.iter().map(Self::compile).collect()
    }

    /// `name` must be in lower case.
    pub fn is_match(&self, name: &str) -> bool {
        match self {
            Self::Equals(text) => name == text,
            Self::StartsWith(text) => name.starts_with(text.as_str()),
            Self::EndsWith(text) => name.ends_with(text.as_str()),
            Self::Contains(text) => name.contains(text.as_str()),
            Self::Regex(regex) => regex.is_match(name),
            Self::Any(matchers) => matchers.iter().any(|matcher| matcher.is_match(name)),
            Self::All(matchers) => matchers.iter().all(|matcher| matcher.is_match(name)),
            Self::Not(matcher) => !matcher.is_match(name),
        }
    }
}

fn regex(pattern: &str) -> Result<Regex, BadPrices> {
    Regex::new(pattern).map_err(|error| BadPrices(format!("the pattern {pattern:?}: {error}")))
}

/// A name with `*` and `?` as wildcards; lower case.
pub(super) fn glob(pattern: &str) -> Globs {
    Globs::new(&[pattern.to_lowercase()])
}

/// `-20251211` as `-2025-12-11`, the form catalogs use. None where there is no such date.
pub(super) fn with_dashed_date(name: &str) -> Option<String> {
    let part = name.split(['-', ':']).find(|part| is_compact_date(part))?;
    let (year, rest) = part.split_at_checked(4)?;
    let (month, day) = rest.split_at_checked(2)?;
    let dashed = format!("-{year}-{month}-{day}");
    Some(name.replacen(&format!("-{part}"), &dashed, 1)).filter(|found| found != name)
}

fn is_compact_date(part: &str) -> bool {
    let between = |from: usize, to: usize, low: u8, high: u8| {
        part.get(from..to)
            .and_then(|digits| digits.parse::<u8>().ok())
            .is_some_and(|number| (low..=high).contains(&number))
    };
    part.len() == 8
        && part.starts_with("20")
        && part.bytes().all(|byte| byte.is_ascii_digit())
        && between(4, 6, 1, 12)
        && between(6, 8, 1, 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compact_dates_gain_dashes() {
        let dashed = |name| with_dashed_date(name);
        assert_eq!(
            dashed("gpt-5.2-20251211").as_deref(),
            Some("gpt-5.2-2025-12-11")
        );
        assert_eq!(
            dashed("x-20251211:free").as_deref(),
            Some("x-2025-12-11:free")
        );
        for other in ["gpt-5.2", "x-20251311", "20251211", "x-202512110"] {
            assert_eq!(dashed(other), None, "{other}");
        }
    }
}
