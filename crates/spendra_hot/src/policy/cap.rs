//! The output: as many tokens per choice as caller, policies, model and context leave.

use super::decision::Decision;
use super::detail::Detail;
use super::prices::Quote;
use super::segment::Unlimited;
use super::tree::{Policy, PolicyTree};
use crate::inspect::Inspected;
use crate::tokens;

impl Decision {
    /// Sets the cap; leaves it None where there is nothing to cap.
    pub(super) fn cap_output(
        &mut self,
        tree: &PolicyTree,
        policies: &[&Policy],
        inspected: &Inspected,
        affordable: Option<u64>,
        quote: &impl Quote,
    ) {
        if !inspected.generates || quote.max_output() == Some(0) {
            return;
        }
        let asked = inspected.output_limit.or(inspected.implied_limit);
        let ceiling = self.hear_output_limits(policies, asked);
        if asked.is_none() && ceiling.is_none() && is_free(quote, self.input_bound_tokens) {
            return;
        }
        let unlimited = asked.is_none().then(|| self.hear_unlimited(policies));
        let wanted = match (asked, unlimited, quote.max_output()) {
            (Some(asked), ..) => asked,
            (None, Some(Unlimited::Model), Some(most)) => most,
            _ => self.hear_defaults(tree, policies),
        };
        let model = [quote.max_output(), remaining_context(inspected, quote)];
        let cap = [ceiling]
            .into_iter()
            .chain(model)
            .flatten()
            .fold(wanted, u64::min);
        let fitted = self.hear_fit(policies, affordable.filter(|room| *room < cap));
        let cap = fitted.unwrap_or(cap);
        self.output_cap = Some(cap);
        let is_bounded = ceiling.is_some() || fitted.is_some();
        self.watched = unlimited == Some(Unlimited::Watch) && !is_bounded;
        let differs = inspected.output_limit != Some(cap);
        self.write_cap = inspected.takes_cap && differs && !self.watched;
        if cap == 0 && wanted > 0 {
            self.refuse_plainly(
                "input_too_large",
                "the input fills the model's context window",
            );
        }
    }

    /// The smallest limit of the policies, each of which speaks.
    fn hear_output_limits(&mut self, policies: &[&Policy], asked: Option<u64>) -> Option<u64> {
        let mut smallest = None;
        for policy in policies {
            let Some(most) = policy.rules.max_output_tokens else {
                continue;
            };
            let detail = Detail::Output(most);
            if asked.is_some_and(|asked| asked <= most) {
                self.allow(&policy.id, "max_output_tokens", detail);
            } else {
                self.limit(&policy.id, "max_output_tokens", detail);
            }
            smallest = Some(smallest.map_or(most, |other: u64| other.min(most)));
        }
        smallest
    }

    /// What a budget has room for, where policies want less rather than nothing, and none of them
    /// thinks it too little.
    fn hear_fit(&mut self, policies: &[&Policy], affordable: Option<u64>) -> Option<u64> {
        let room = affordable?;
        let said = policies.iter().filter_map(|policy| {
            let least = policy.rules.fit_output_to_budget?;
            Some((least, &policy.id))
        });
        let (least, speaker) = said.max_by_key(|(least, _)| *least)?;
        if room < least {
            return None;
        }
        self.limit(speaker, "fit_output_to_budget", Detail::Output(room));
        Some(room)
    }

    /// For a caller who sets no limit: the strictest of what the policies say.
    fn hear_unlimited(&mut self, policies: &[&Policy]) -> Unlimited {
        let said = policies.iter().filter_map(|policy| {
            let unlimited = policy.rules.unlimited_output?;
            Some((unlimited, &policy.id))
        });
        let Some((unlimited, speaker)) = said.min_by_key(|(unlimited, _)| *unlimited) else {
            return Unlimited::Cap;
        };
        let detail = Detail::Unlimited(unlimited.word());
        self.limit(speaker, "unlimited_output", detail);
        unlimited
    }

    /// For a caller who sets no limit: the policies' smallest default, else the organization's.
    fn hear_defaults(&mut self, tree: &PolicyTree, policies: &[&Policy]) -> u64 {
        const RULE: &str = "default_output_tokens";
        let mut smallest = None;
        for policy in policies {
            let Some(default) = policy.rules.default_output_tokens else {
                continue;
            };
            self.limit(&policy.id, RULE, Detail::DefaultOutput(default));
            smallest = Some(smallest.map_or(default, |other: u64| other.min(default)));
        }
        smallest.unwrap_or_else(|| {
            let default = tree.default_output_tokens;
            self.limit(&"default".into(), RULE, Detail::DefaultOutput(default));
            default
        })
    }
}

/// Output that costs nothing needs no cap, and embeddings would not take one.
fn is_free(quote: &impl Quote, input_tokens: u64) -> bool {
    quote.bound_nanousd(input_tokens, 1_000_000) == quote.bound_nanousd(input_tokens, 0)
}

/// Counted with the fewest tokens the texts can be: a cap must not cut an answer that fits.
fn remaining_context(inspected: &Inspected, quote: &impl Quote) -> Option<u64> {
    let input = if inspected.is_bounded_by_bytes() {
        tokens::at_least(inspected.text_bytes)
    } else {
        0
    };
    quote
        .context_window()
        .map(|window| window.saturating_sub(input))
}
