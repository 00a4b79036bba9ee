//! The input: bounded by its bytes where they bound it, else by the model's context window.

use super::decide::Request;
use super::decision::Decision;
use super::detail::Detail;
use super::prices::Quote;
use super::tree::Policy;
use crate::inspect::Inspected;
use crate::tokens;

impl Decision {
    /// Sets the bound and the estimate, or refuses what has no bound.
    pub(super) fn bound_input(&mut self, request: &Request<'_>, quote: &impl Quote, model: &str) {
        let inspected = request.inspected;
        let has_tools = !inspected.tools.is_empty();
        self.estimated_input_tokens =
            tokens::estimate(inspected.text_bytes, request.provider, has_tools);
        let bound = if inspected.is_bounded_by_bytes() {
            Some(of_text(request))
        } else {
            let readings = inspected.rereads.saturating_add(1);
            let window = quote.context_window();
            let bound = window.map(|window| window.saturating_mul(readings));
            bound.or_else(|| is_unbilled(quote).then_some(0))
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
        let tokens = if inspected.is_bounded_by_bytes() {
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

/// No more tokens than the whole body has, and what a provider adds where there are tools.
fn of_text(request: &Request<'_>) -> u64 {
    let inspected = request.inspected;
    let counted = request
        .body_tokens
        .map(|tokens| tokens.saturating_add(tokens::FRAMING_BOUND));
    let own = counted.map_or(inspected.body_bytes, |tokens| {
        tokens.min(inspected.body_bytes)
    });
    if inspected.tools.is_empty() {
        own
    } else {
        own.saturating_add(tokens::TOOLS_BOUND)
    }
}

/// Audio that is billed by its length has no price per token.
fn is_unbilled(quote: &impl Quote) -> bool {
    quote.bound_nanousd(1_000_000, 0) == quote.bound_nanousd(0, 0)
}
