//! What a rule said, kept as its parts: most are never read, so the text is made when it is asked for.

use std::fmt;
use std::sync::Arc;

/// Amounts are nano-USD, limits tokens or requests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Detail {
    /// Said as it stands: a refusal is read at once.
    Plain(Arc<str>),
    Named {
        what: &'static str,
        name: Arc<str>,
        pattern: Arc<str>,
    },
    Cost {
        cost: u64,
        most: u64,
    },
    Input {
        about: u64,
        most: u64,
    },
    Output(u64),
    DefaultOutput(u64),
    Unlimited(&'static str),
    Limit {
        most: u64,
        what: &'static str,
    },
    Routed(Arc<str>),
    Reviewed {
        cost: u64,
        above: u64,
    },
}

impl fmt::Display for Detail {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Plain(text) => out.write_str(text),
            Self::Named {
                what,
                name,
                pattern,
            } => write!(out, "{what} {name:?} is allowed ({pattern})"),
            Self::Cost { cost, most } => {
                write!(out, "at most {} of {}", Dollars(*cost), Dollars(*most))
            }
            Self::Input { about, most } => {
                write!(out, "about {about} of at most {most} input tokens")
            }
            Self::Output(most) => write!(out, "at most {most} output tokens"),
            Self::DefaultOutput(default) => {
                write!(
                    out,
                    "{default} output tokens where the caller sets no limit"
                )
            }
            Self::Routed(pattern) => write!(out, "a cheaper model is looked for ({pattern})"),
            Self::Unlimited(what) => write!(out, "{what} where the caller sets no limit"),
            Self::Limit { most, what } => write!(out, "{most} {what}"),
            Self::Reviewed { cost, above } => write!(
                out,
                "can cost {}; above {} it is for review",
                Dollars(*cost),
                Dollars(*above)
            ),
        }
    }
}

/// An amount of nano-USD as dollars: `$1.50`.
pub(super) struct Dollars(pub u64);

impl fmt::Display for Dollars {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (dollars, nanos) = (self.0 / 1_000_000_000, self.0 % 1_000_000_000);
        let decimals = format!("{nanos:09}");
        let decimals = decimals.trim_end_matches('0');
        write!(out, "${dollars}.{decimals:0<2}")
    }
}

#[cfg(test)]
mod tests {
    use super::Dollars;

    #[test]
    fn dollars_keep_cents_and_drop_other_zeros() {
        for (nanousd, text) in [
            (0, "$0.00"),
            (1_500_000_000, "$1.50"),
            (37, "$0.000000037"),
            (u64::MAX, "$18446744073.709551615"),
        ] {
            assert_eq!(Dollars(nanousd).to_string(), text);
        }
    }
}
