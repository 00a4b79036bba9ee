//! Rules about names: which models, providers and tools, under which labels, and how often.

use std::sync::Arc;

use super::decision::{Decision, Limit};
use super::detail::Detail;
use super::facts::Facts;
use super::tree::{Policy, Rules};
use super::vendor::vendor;
use crate::glob::Globs;
use crate::keys::Principal;

const TOKENS_PER_MINUTE: &str = "tokens_per_minute";

/// One list of a policy, and the name it is held against.
struct List<'a> {
    rule: &'static str,
    code: &'static str,
    what: &'static str,
    globs: Option<&'a Globs>,
}

impl Decision {
    pub(super) fn hear_names(&mut self, policy: &Policy, provider: &Arc<str>, model: &Arc<str>) {
        let Rules {
            models_allow,
            models_deny,
            providers_allow,
            providers_deny,
            vendors_allow,
            vendors_deny,
            ..
        } = &policy.rules;
        self.deny(
            &policy.id,
            &models("models_deny", models_deny.as_ref()),
            model,
        );
        self.allow_only(
            &policy.id,
            &models("models_allow", models_allow.as_ref()),
            model,
        );
        self.deny(
            &policy.id,
            &providers("providers_deny", providers_deny.as_ref()),
            provider,
        );
        self.allow_only(
            &policy.id,
            &providers("providers_allow", providers_allow.as_ref()),
            provider,
        );
        if vendors_allow.is_some() || vendors_deny.is_some() {
            let vendor: Arc<str> = vendor(provider, model).into();
            self.deny(
                &policy.id,
                &vendors("vendors_deny", vendors_deny.as_ref()),
                &vendor,
            );
            self.allow_only(
                &policy.id,
                &vendors("vendors_allow", vendors_allow.as_ref()),
                &vendor,
            );
        }
    }

    /// Of each tool that the request brings, whether it may.
    pub(super) fn hear_tools(&mut self, policy: &Policy, names: &[Arc<str>]) {
        let rules = &policy.rules;
        for name in names {
            self.deny(
                &policy.id,
                &tools("tools_deny", rules.tools_deny.as_ref()),
                name,
            );
        }
        for name in names {
            self.allow_only(
                &policy.id,
                &tools("tools_allow", rules.tools_allow.as_ref()),
                name,
            );
        }
    }

    pub(super) fn hear_labels(&mut self, policy: &Policy, facts: &Facts<'_>) {
        for label in &policy.rules.required_labels {
            if facts.label(label).is_none() {
                let detail = format!("the label {label:?} is missing; {} asks for it", policy.id);
                self.refuse("label_missing", &policy.id, "required_labels", &detail);
            }
        }
        for (label, values) in &policy.rules.labels_allow {
            let Some(value) = facts.label(label) else {
                continue;
            };
            let list = List {
                rule: "labels_allow",
                code: "label_not_allowed",
                what: "label",
                globs: Some(values),
            };
            let named: Arc<str> = format!("{label}={value}").into();
            self.allow_matching(&policy.id, &list, values.matching(value), &named);
        }
    }

    pub(super) fn hear_environment(&mut self, policy: &Policy, environment: &str) {
        let list = List {
            rule: "environments_allow",
            code: "environment_not_allowed",
            what: "environment",
            globs: policy.rules.environments_allow.as_ref(),
        };
        self.allow_only(&policy.id, &list, &environment.into());
    }

    pub(super) fn hear_routing(&mut self, policy: &Policy, model: &str) {
        let routing = policy.rules.routing.as_ref();
        if let Some(pattern) = routing.and_then(|globs| globs.matching(model)) {
            self.allow(&policy.id, "routing", Detail::Routed(pattern.clone()));
        }
    }

    pub(super) fn hear_hours(&mut self, policy: &Policy, closed: &[String]) {
        if closed.iter().any(|id| **id == *policy.id) {
            let detail = format!("{} allows requests in its hours only", policy.id);
            self.refuse("outside_hours", &policy.id, "hours", &detail);
        }
    }

    /// What is counted where all sidecars meet.
    pub(super) fn hear_limits(&mut self, policy: &Policy) {
        let rules = &policy.rules;
        for (rule, most, what) in [
            (
                "requests_per_minute",
                rules.requests_per_minute,
                "requests per minute",
            ),
            (
                TOKENS_PER_MINUTE,
                rules.tokens_per_minute,
                "tokens per minute",
            ),
            (
                "max_concurrency",
                rules.max_concurrency,
                "requests in flight",
            ),
        ] {
            let Some(most) = most else { continue };
            self.limit(&policy.id, rule, Detail::Limit { most, what });
            self.limits.push(Limit {
                rule,
                policy_id: policy.id.clone(),
                most,
            });
        }
    }

    /// A request that no minute has room for would wait for ever.
    pub(super) fn hear_tokens(&mut self, policy: &Policy) {
        let Some(most) = policy.rules.tokens_per_minute else {
            return;
        };
        if self.most_tokens > most {
            let detail = format!(
                "this request can take {} tokens, more than the {most} a minute that {} allows",
                self.most_tokens, policy.id
            );
            self.refuse("tokens_over_limit", &policy.id, TOKENS_PER_MINUTE, &detail);
        }
    }

    /// The models, providers and tools that the key itself may use.
    pub(super) fn hear_key(
        &mut self,
        key: &Principal,
        provider: &Arc<str>,
        model: &Arc<str>,
        names: &[Arc<str>],
    ) {
        let id = &key.key_id;
        self.allow_only(id, &models("models", key.models.as_ref()), model);
        self.allow_only(
            id,
            &providers("providers", key.providers.as_ref()),
            provider,
        );
        for name in names {
            self.allow_only(id, &tools("tools", key.tools.as_ref()), name);
        }
    }

    fn deny(&mut self, speaker: &Arc<str>, list: &List<'_>, name: &str) {
        if let Some(pattern) = list.globs.and_then(|globs| globs.matching(name)) {
            let detail = format!("{} {name:?} is denied by {speaker} ({pattern})", list.what);
            self.refuse(list.code, speaker, list.rule, &detail);
        }
    }

    fn allow_only(&mut self, speaker: &Arc<str>, list: &List<'_>, name: &Arc<str>) {
        if let Some(globs) = list.globs {
            self.allow_matching(speaker, list, globs.matching(name), name);
        }
    }

    fn allow_matching(
        &mut self,
        speaker: &Arc<str>,
        list: &List<'_>,
        pattern: Option<&Arc<str>>,
        name: &Arc<str>,
    ) {
        if let Some(pattern) = pattern {
            let detail = Detail::Named {
                what: list.what,
                name: name.clone(),
                pattern: pattern.clone(),
            };
            self.allow(speaker, list.rule, detail);
        } else {
            let detail = format!(
                "{} {name:?} is not among those that {speaker} allows",
                list.what
            );
            self.refuse(list.code, speaker, list.rule, &detail);
        }
    }
}

fn models<'a>(rule: &'static str, globs: Option<&'a Globs>) -> List<'a> {
    List {
        rule,
        code: "model_not_allowed",
        what: "model",
        globs,
    }
}

fn providers<'a>(rule: &'static str, globs: Option<&'a Globs>) -> List<'a> {
    List {
        rule,
        code: "provider_not_allowed",
        what: "provider",
        globs,
    }
}

fn vendors<'a>(rule: &'static str, globs: Option<&'a Globs>) -> List<'a> {
    List {
        rule,
        code: "vendor_not_allowed",
        what: "vendor",
        globs,
    }
}

fn tools<'a>(rule: &'static str, globs: Option<&'a Globs>) -> List<'a> {
    List {
        rule,
        code: "tool_not_allowed",
        what: "tool",
        globs,
    }
}
