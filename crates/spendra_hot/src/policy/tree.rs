//! The compiled `policy` segment.

use std::sync::Arc;

use super::facts::Facts;
use super::segment::{PolicyRecord, PolicySegment, Review, RulesRecord, Unlimited};
use super::selector::Selector;
use crate::error::Unusable;
use crate::glob::Globs;

#[derive(Debug)]
pub struct PolicyTree {
    budgets: Box<[Selector]>,
    policies: Box<[Policy]>,
    pub(super) default_output_tokens: u64,
}

#[derive(Debug)]
pub(super) struct Policy {
    pub id: Arc<str>,
    selector: Selector,
    pub rules: Rules,
}

/// What one policy says, or one key.
#[derive(Debug, Default)]
pub(super) struct Rules {
    pub models_allow: Option<Globs>,
    pub models_deny: Option<Globs>,
    pub providers_allow: Option<Globs>,
    pub providers_deny: Option<Globs>,
    pub vendors_allow: Option<Globs>,
    pub vendors_deny: Option<Globs>,
    pub tools_allow: Option<Globs>,
    pub tools_deny: Option<Globs>,
    pub required_labels: Vec<String>,
    pub labels_allow: Vec<(String, Globs)>,
    pub max_input_tokens: Option<u64>,
    pub max_output_tokens: Option<u64>,
    pub max_request_nanousd: Option<u64>,
    pub requests_per_minute: Option<u64>,
    pub tokens_per_minute: Option<u64>,
    pub max_concurrency: Option<u64>,
    pub default_output_tokens: Option<u64>,
    pub fit_output_to_budget: Option<u64>,
    pub unlimited_output: Option<Unlimited>,
    pub environments_allow: Option<Globs>,
    /// Models for which a cheaper one is looked for.
    pub routing: Option<Globs>,
    pub review_above_nanousd: Option<u64>,
    pub review: Review,
}

impl PolicyTree {
    /// From the snapshot's `policy` segment.
    pub fn load(segment: &[u8]) -> Result<Self, Unusable> {
        let segment: PolicySegment = serde_json::from_slice(segment)
            .map_err(|error| Unusable::new(format!("the policy segment: {error}")))?;
        let budgets = segment.budgets.iter();
        let budgets = budgets.map(|budget| Selector::compile(&budget.id, &budget.selector));
        Ok(Self {
            budgets: budgets.collect::<Result<_, _>>()?,
            policies: segment
                .policies
                .into_iter()
                .map(Policy::compile)
                .collect::<Result<_, _>>()?,
            default_output_tokens: segment.default_output_tokens,
        })
    }

    /// Positions of the budgets that this request meets.
    pub(super) fn budgets_of(&self, facts: &Facts<'_>) -> Vec<usize> {
        let budgets = self.budgets.iter().enumerate();
        budgets
            .filter(|(_, selector)| selector.matches(facts))
            .map(|(at, _)| at)
            .collect()
    }

    pub(super) fn policies_of(&self, facts: &Facts<'_>) -> Vec<&Policy> {
        self.policies
            .iter()
            .filter(|policy| policy.selector.matches(facts))
            .collect()
    }
}

impl Policy {
    fn compile(record: PolicyRecord) -> Result<Self, Unusable> {
        let selector = Selector::compile(&record.id, &record.selector)?;
        Ok(Self {
            id: record.id.into(),
            selector,
            rules: Rules::compile(&record.rules),
        })
    }
}

impl Rules {
    fn compile(record: &RulesRecord) -> Self {
        let globs = |patterns: &Option<Vec<String>>| patterns.as_deref().map(Globs::new);
        Self {
            models_allow: globs(&record.models_allow),
            models_deny: globs(&record.models_deny),
            providers_allow: globs(&record.providers_allow),
            providers_deny: globs(&record.providers_deny),
            vendors_allow: globs(&record.vendors_allow),
            vendors_deny: globs(&record.vendors_deny),
            tools_allow: globs(&record.tools_allow),
            tools_deny: globs(&record.tools_deny),
            required_labels: record.required_labels.clone().unwrap_or_default(),
            labels_allow: record
                .labels_allow
                .iter()
                .flatten()
                .map(|(label, values)| (label.clone(), Globs::new(values)))
                .collect(),
            max_input_tokens: record.max_input_tokens,
            max_output_tokens: record.max_output_tokens,
            max_request_nanousd: record.max_request_nanousd,
            requests_per_minute: record.requests_per_minute,
            tokens_per_minute: record.tokens_per_minute,
            max_concurrency: record.max_concurrency,
            default_output_tokens: record.default_output_tokens,
            fit_output_to_budget: record.fit_output_to_budget,
            unlimited_output: record.unlimited_output,
            environments_allow: globs(&record.environments_allow),
            routing: record.routing.as_ref().map(|routing| {
                let patterns = routing.routes.iter().flat_map(|routed| &routed.models);
                Globs::new(&patterns.cloned().collect::<Vec<_>>())
            }),
            review_above_nanousd: record.review_above_nanousd,
            review: record.review.unwrap_or_default(),
        }
    }
}
