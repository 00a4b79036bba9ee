//! A decision, always with its reasons.

use std::sync::Arc;

use super::detail::Detail;

/// What a rule did to the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    Allow,
    Refuse,
    /// It set or lowered a number.
    Limit,
    /// It passed, and somebody should know.
    Flag,
}

impl Verdict {
    pub fn word(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Refuse => "refuse",
            Self::Limit => "limit",
            Self::Flag => "flag",
        }
    }
}

/// A rule that spoke. `policy_id` is a policy's or a key's id, or `default` or `model`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reason {
    pub policy_id: Arc<str>,
    pub rule: &'static str,
    pub verdict: Verdict,
    detail: Detail,
}

impl Reason {
    /// What the rule said, in words.
    pub fn detail(&self) -> String {
        self.detail.to_string()
    }
}

/// What a policy allows of all the requests that it matches, together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limit {
    /// `requests_per_minute`, `tokens_per_minute` or `max_concurrency`.
    pub rule: &'static str,
    pub policy_id: Arc<str>,
    pub most: u64,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Decision {
    /// The code of the first refusal; empty when allowed.
    pub reason: &'static str,
    pub message: String,
    pub reasons: Vec<Reason>,
    /// Positions, in the segment, of the budgets that this request meets.
    pub budgets: Vec<usize>,
    pub limits: Vec<Limit>,
    /// Output tokens per choice; None where nothing is generated, or nothing costs.
    pub output_cap: Option<u64>,
    /// The cap differs from what the caller sent.
    pub write_cap: bool,
    /// Nothing limits the output: the hold is to grow with it, or the stream to end.
    pub watched: bool,
    pub input_bound_tokens: u64,
    /// Input and output of all choices together, at most.
    pub most_tokens: u64,
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

    /// What the caller of a request that passes should know; empty where that is nothing.
    pub fn warning(&self) -> String {
        let cap = self.output_cap.filter(|_| self.write_cap);
        let cap = cap.map(|cap| format!("each answer is limited to {cap} output tokens"));
        let flags = self.reasons.iter().filter(|it| it.verdict == Verdict::Flag);
        let flags = flags.map(Reason::detail);
        cap.into_iter().chain(flags).collect::<Vec<_>>().join("; ")
    }

    pub(super) fn allow(&mut self, speaker: &Arc<str>, rule: &'static str, detail: Detail) {
        self.speak(speaker, rule, Verdict::Allow, detail);
    }

    pub(super) fn limit(&mut self, speaker: &Arc<str>, rule: &'static str, detail: Detail) {
        self.speak(speaker, rule, Verdict::Limit, detail);
    }

    pub(super) fn flag(&mut self, speaker: &Arc<str>, rule: &'static str, detail: Detail) {
        self.speak(speaker, rule, Verdict::Flag, detail);
    }

    pub(super) fn refuse(
        &mut self,
        code: &'static str,
        speaker: &Arc<str>,
        rule: &'static str,
        detail: &str,
    ) {
        self.refuse_plainly(code, detail);
        self.speak(speaker, rule, Verdict::Refuse, Detail::Plain(detail.into()));
    }

    /// A refusal that no rule of anybody's makes.
    pub(super) fn refuse_plainly(&mut self, code: &'static str, message: &str) {
        if self.allowed() {
            self.reason = code;
            message.clone_into(&mut self.message);
        }
    }

    fn speak(&mut self, speaker: &Arc<str>, rule: &'static str, verdict: Verdict, detail: Detail) {
        self.reasons.push(Reason {
            policy_id: speaker.clone(),
            rule,
            verdict,
            detail,
        });
    }
}
