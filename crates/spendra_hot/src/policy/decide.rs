//! The order of a decision. Every matching rule speaks; the first refusal names the reason.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::decision::Decision;
use super::detail::{Detail, Dollars};
use super::facts::Facts;
use super::prices::{Prices, Quote};
use super::segment::Review;
use super::tree::{Policy, PolicyTree};
use crate::error::Unusable;
use crate::inspect::Inspected;
use crate::keys::Principal;

/// Largest amount of one reservation: Lua compares amounts as doubles, exact up to here.
const MAX_AMOUNT_NANOUSD: u64 = (1 << 53) - 1;

/// Who asks for what, of whom, and when.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    pub principal: &'a Principal,
    pub inspected: &'a Inspected,
    pub provider: &'a str,
    /// What the model is called in the catalog, where the body does not say so.
    pub model: Option<&'a str>,
    /// Dimension to value: what the request's headers add, and a model that is in the path.
    pub headers: &'a BTreeMap<String, String>,
    pub now_ms: i64,
    /// Tokens of the whole body in the model's own vocabulary, where they were counted: a bound
    /// tighter than its bytes.
    pub body_tokens: Option<u64>,
    /// The only service tier it may be billed at, where that is sure.
    pub tier: Option<&'a str>,
    /// Policies whose hours do not hold now.
    pub closed: &'a [String],
    /// What a reviewer has approved of, if anything.
    pub granted_nanousd: Option<u64>,
    /// Output tokens that a budget has room for, where it has none for what was decided before.
    pub affordable_output: Option<u64>,
}

impl PolicyTree {
    /// Errors: a header's dimension that no request has.
    pub fn decide<P: Prices>(
        &self,
        request: &Request<'_>,
        prices: &P,
    ) -> Result<Decision, Unusable> {
        let (facts, conflict) = Facts::gather(request)?;
        let policies = self.policies_of(&facts);
        let mut decision = Decision {
            facts: facts.to_json(),
            budgets: self.budgets_of(&facts),
            ..Decision::default()
        };
        if let Some(conflict) = conflict {
            decision.refuse_plainly("scope_conflict", &conflict);
            return Ok(decision);
        }
        let Some(model) = facts.model() else {
            decision.refuse_plainly("model_missing", "the request names no model");
            return Ok(decision);
        };
        decision.hear_names_of(request, &policies, model, &facts);
        if decision.allowed() {
            self.price(&mut decision, request, &policies, model, prices);
        }
        Ok(decision)
    }

    fn price<P: Prices>(
        &self,
        decision: &mut Decision,
        request: &Request<'_>,
        policies: &[&Policy],
        model: &str,
        prices: &P,
    ) {
        let Some(quote) = prices.resolve(request.provider, model, request.now_ms) else {
            decision.refuse_plainly(
                "unpriced_model",
                &format!(
                    "model {model:?} of provider {:?} has no price, so its cost cannot be bounded",
                    request.provider
                ),
            );
            return;
        };
        let quote = match request.tier {
            Some(tier) => quote.at_tier(tier),
            None => quote,
        };
        quote.version().clone_into(&mut decision.price_version);
        decision.bound_input(request, &quote, model);
        for policy in policies {
            decision.hear_input_limit(policy, request.inspected);
        }
        if decision.allowed() {
            decision.cap_output(
                self,
                policies,
                request.inspected,
                request.affordable_output,
                &quote,
            );
            decision.reserve(request, policies, &quote);
        }
    }
}

/// Gemini ended 75 tokens after a limit of 256 (recorded); the margin is wider than was seen.
fn with_overshoot(cap: u64, inspected: &Inspected) -> u64 {
    const LEAST: u64 = 512;
    if inspected.overshoots && cap > 0 {
        cap.saturating_add(LEAST.max(cap / 8))
    } else {
        cap
    }
}

impl Decision {
    fn hear_names_of(
        &mut self,
        request: &Request<'_>,
        policies: &[&Policy],
        model: &str,
        facts: &Facts<'_>,
    ) {
        let (provider, model): (Arc<str>, Arc<str>) = (request.provider.into(), model.into());
        let tools: Vec<Arc<str>> = request
            .inspected
            .tools
            .iter()
            .map(|name| name.as_str().into())
            .collect();
        let key = request.principal;
        self.hear_key(key, &provider, &model, &tools);
        for policy in policies {
            self.hear_names(policy, &provider, &model);
            self.hear_tools(policy, &tools);
            self.hear_labels(policy, facts);
            self.hear_environment(policy, &key.environment);
            self.hear_hours(policy, request.closed);
            self.hear_routing(policy, &model);
            self.hear_limits(policy);
        }
    }

    fn reserve(&mut self, request: &Request<'_>, policies: &[&Policy], quote: &impl Quote) {
        let inspected = request.inspected;
        let rounds = if inspected.rounds_have_output {
            inspected.rereads.saturating_add(1)
        } else {
            1
        };
        let output = with_overshoot(self.output_cap.unwrap_or(0), inspected)
            .saturating_mul(inspected.choices)
            .saturating_mul(rounds);
        let fees = self.hear_fees(inspected, quote);
        self.estimated_nanousd = quote.estimate_nanousd(self.estimated_input_tokens, output);
        let most = self.worst_case(inspected, quote, output);
        self.reserved_nanousd = most.saturating_add(fees);
        let input = self.worst_case(inspected, quote, 0);
        self.reserved_input_nanousd = input.saturating_add(fees);
        self.most_tokens = self.input_bound_tokens.saturating_add(output);
        let key = request.principal;
        self.hear_amount(&key.key_id, key.max_request_nanousd);
        for policy in policies {
            self.hear_amount(&policy.id, policy.rules.max_request_nanousd);
        }
        if self.reserved_nanousd > MAX_AMOUNT_NANOUSD {
            self.hear_amount(&"default".into(), Some(MAX_AMOUNT_NANOUSD));
        }
        for policy in policies {
            self.hear_tokens(policy);
        }
        for policy in policies {
            self.hear_review(policy, request.granted_nanousd);
        }
    }

    /// After all other rules: nobody is asked about a request that would not pass anyway.
    fn hear_review(&mut self, policy: &Policy, granted_nanousd: Option<u64>) {
        const RULE: &str = "review_above_nanousd";
        let (cost, rules) = (self.reserved_nanousd, &policy.rules);
        let Some(above) = rules.review_above_nanousd.filter(|above| cost > *above) else {
            return;
        };
        let reviewed = Detail::Reviewed { cost, above };
        if rules.review == Review::Flag {
            self.flag(&policy.id, RULE, reviewed);
        } else if granted_nanousd.is_some_and(|granted| cost <= granted) {
            self.allow(&policy.id, RULE, reviewed);
        } else if self.allowed() {
            let detail = format!(
                "this request can cost {}, and {} asks for a review above {}",
                Dollars(cost),
                policy.id,
                Dollars(above)
            );
            self.refuse("review_required", &policy.id, RULE, &detail);
        }
    }

    fn hear_fees(&mut self, inspected: &Inspected, quote: &impl Quote) -> u64 {
        match quote.fees_bound_nanousd(&inspected.fees) {
            Ok(fees) => fees,
            Err(unit) => {
                let detail = format!("the model has no price for {unit}, so its cost is unbounded");
                self.refuse_plainly("unpriced_model", &detail);
                0
            }
        }
    }

    fn worst_case(&self, inspected: &Inspected, quote: &impl Quote, output_tokens: u64) -> u64 {
        if inspected.is_bounded_by_bytes() {
            quote.text_bound_nanousd(self.input_bound_tokens, output_tokens)
        } else {
            quote.bound_nanousd(self.input_bound_tokens, output_tokens)
        }
    }

    fn hear_amount(&mut self, speaker: &Arc<str>, most: Option<u64>) {
        const RULE: &str = "max_request_nanousd";
        let (Some(most), cost) = (most, self.reserved_nanousd) else {
            return;
        };
        if cost <= most {
            self.allow(speaker, RULE, Detail::Cost { cost, most });
        } else {
            let detail = format!(
                "this request can cost {}, more than the {} that {speaker} allows",
                Dollars(cost),
                Dollars(most)
            );
            self.refuse("request_too_expensive", speaker, RULE, &detail);
        }
    }
}
