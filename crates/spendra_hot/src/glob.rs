//! Patterns with `*` (any text) and `?` (any one character); letters match in their case only.

use std::sync::Arc;

#[derive(Debug, Clone)]
pub struct Globs(Box<[Glob]>);

#[derive(Debug, Clone)]
struct Glob {
    pattern: Arc<str>,
    literal: bool,
}

impl Globs {
    pub fn new(patterns: &[String]) -> Self {
        let compile = |pattern: &String| Glob {
            literal: !pattern.contains(['*', '?']),
            pattern: pattern.as_str().into(),
        };
        Self(patterns.iter().map(compile).collect())
    }

    /// The first pattern that the text matches.
    pub fn matching(&self, text: &str) -> Option<&Arc<str>> {
        self.0
            .iter()
            .find(|glob| glob.matches(text))
            .map(|glob| &glob.pattern)
    }
}

impl Glob {
    fn matches(&self, text: &str) -> bool {
        if self.literal {
            *self.pattern == *text
        } else {
            matches(&self.pattern, text)
        }
    }
}

/// On a mismatch the latest `*` takes one character more; earlier ones need no second try.
fn matches(pattern: &str, text: &str) -> bool {
    let (mut pattern, mut text) = (pattern.chars(), text.chars());
    let mut retry = None;
    loop {
        let (mut after, mut rest) = (pattern.clone(), text.clone());
        match (after.next(), rest.next()) {
            (None, None) => return true,
            (Some('*'), _) => {
                retry = Some((after.clone(), text.clone()));
                pattern = after;
            }
            (Some(wanted), Some(found)) if wanted == '?' || wanted == found => {
                (pattern, text) = (after, rest);
            }
            _ => {
                let Some((after, mut from)) = retry.take() else {
                    return false;
                };
                if from.next().is_none() {
                    return false;
                }
                (pattern, text) = (after.clone(), from.clone());
                retry = Some((after, from));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Globs, matches};

    #[test]
    fn wildcards_are_star_and_question_mark_only() {
        for (pattern, text, expected) in [
            ("claude-sonnet-*", "claude-sonnet-4", true),
            ("claude-sonnet-*", "Claude-sonnet-4", false),
            ("gpt-?", "gpt-5", true),
            ("gpt-?", "gpt-", false),
            ("gpt-[45]", "gpt-4", false),
            ("*a*b", "xaxbxb", true),
            ("*a*b", "xaxbxc", false),
            ("*", "", true),
            ("", "x", false),
            ("?", "é", true),
        ] {
            let globs = Globs::new(&[pattern.to_owned()]);
            assert_eq!(globs.matching(text).is_some(), expected, "{pattern} {text}");
        }
    }

    fn plainly(pattern: &[char], text: &[char]) -> bool {
        match (pattern.split_first(), text.split_first()) {
            (None, None) => true,
            (Some(('*', after)), None) => plainly(after, text),
            (Some(('*', after)), Some((_, rest))) => plainly(after, text) || plainly(pattern, rest),
            (Some((p, after)), Some((t, rest))) => (*p == '?' || p == t) && plainly(after, rest),
            _ => false,
        }
    }

    proptest! {
        #[test]
        fn it_agrees_with_the_definition(pattern in "[ab*?]{0,8}", text in "[ab]{0,10}") {
            let (p, t): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
            prop_assert_eq!(matches(&pattern, &text), plainly(&p, &t));
        }
    }
}
