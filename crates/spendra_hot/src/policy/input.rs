//! The input: bounded by its bytes where they bound it, else by the model's context window.

use super::decision::Decision;
use super::detail::Detail;
use super::prices::Quote;
use super::tree::Policy;
use crate::inspect::Inspected;
use crate::tokens;

impl Decision {
    /// Sets the bound and the estimate, or refuses what has no bound.
    pub(super) fn bound_input(&mut self, inspected: &Inspected, quote: &impl Quote, model: &str) {
        self.estimated_input_tokens = tokens::estimate(inspected.text_bytes);
        let bound = if is_bounded_by_bytes(inspected) {
            Some(inspected.body_bytes)
        } else {
            quote.context_window()
        };
        match bound {
            Some(bound) => self.input_bound_tokens = bound,
            None => self.refuse_plainly(
                "input_unbounded",
                &format!(
                    "the input of this request is not bounded by its bytes (images, audio, files, \
                 stored state or hosted tools), and the context window of \
                 {model:?} is not in the price catalog"
                ),
            ),
        }
    }

    /// Texts are held to the limit by estimate, other inputs by bound.
    pub(super) fn hear_input_limit(&mut self, policy: &Policy, inspected: &Inspected) {
        let Some(most) = policy.rules.max_input_tokens else {
            return;
        };
        let tokens = if is_bounded_by_bytes(inspected) {
            self.estimated_input_tokens
        } else {
            self.input_bound_tokens
        };
        if tokens <= most {
            let about = tokens;
            self.allow(
                &policy.id,
                "max_input_tokens",
                Detail::Input { about, most },
            );
        } else {
            let detail = format!(
                "about {tokens} input tokens, more than the {most} of {}",
                policy.id
            );
            self.refuse("input_too_large", &policy.id, "max_input_tokens", &detail);
        }
    }
}

pub(super) fn is_bounded_by_bytes(inspected: &Inspected) -> bool {
    inspected.text_only && !inspected.stored_state && !inspected.hosted_tools
}
