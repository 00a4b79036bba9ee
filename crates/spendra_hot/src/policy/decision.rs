//! A decision, always with its reasons.

use std::fmt;

/// What a rule did to the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    Allow,
    Refuse,
    /// It set or lowered a number.
    Limit,
}

impl Verdict {
    pub fn word(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Refuse => "refuse",
            Self::Limit => "limit",
        }
    }
}

/// A rule that spoke. `policy_id` is a policy's or a key's id, or `default` or `model`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reason {
    pub policy_id: String,
    pub rule: &'static str,
    pub verdict: Verdict,
    pub detail: String,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Decision {
    /// The code of the first refusal; empty when allowed.
    pub reason: &'static str,
    pub message: String,
    pub reasons: Vec<Reason>,
    /// Positions, in the segment, of the budgets that this request meets.
    pub budgets: Vec<usize>,
    /// Policy id and requests per minute.
    pub rate_limits: Vec<(String, u64)>,
    /// Output tokens per choice; None where nothing is generated, or nothing costs.
    pub output_cap: Option<u64>,
    /// The cap differs from what the caller sent.
    pub write_cap: bool,
    pub input_bound_tokens: u64,
    pub estimated_input_tokens: u64,
    pub estimated_nanousd: u64,
    pub reserved_nanousd: u64,
    /// The part of `reserved_nanousd` that the input alone makes.
    pub reserved_input_nanousd: u64,
    pub price_version: String,
    /// JSON object, dimension to values.
    pub facts: String,
}

impl Decision {
    pub fn allowed(&self) -> bool {
        self.reason.is_empty()
    }

    pub(super) fn allow(&mut self, speaker: &str, rule: &'static str, detail: String) {
        self.speak(speaker, rule, Verdict::Allow, detail);
    }

    pub(super) fn limit(&mut self, speaker: &str, rule: &'static str, detail: String) {
        self.speak(speaker, rule, Verdict::Limit, detail);
    }

    pub(super) fn refuse(
        &mut self,
        code: &'static str,
        speaker: &str,
        rule: &'static str,
        detail: String,
    ) {
        self.refuse_plainly(code, &detail);
        self.speak(speaker, rule, Verdict::Refuse, detail);
    }

    /// A refusal that no rule of anybody's makes.
    pub(super) fn refuse_plainly(&mut self, code: &'static str, message: &str) {
        if self.allowed() {
            self.reason = code;
            message.clone_into(&mut self.message);
        }
    }

    fn speak(&mut self, speaker: &str, rule: &'static str, verdict: Verdict, detail: String) {
        self.reasons.push(Reason {
            policy_id: speaker.to_owned(),
            rule,
            verdict,
            detail,
        });
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
