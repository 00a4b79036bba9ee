//! Rules about names: which models and providers, and how often.

use std::sync::Arc;

use super::decision::Decision;
use super::detail::Detail;
use super::tree::{Policy, Rules};
use crate::glob::Globs;

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
        if let Some(rate) = policy.rules.requests_per_minute {
            let detail = Detail::RequestsPerMinute(rate);
            self.limit(&policy.id, "requests_per_minute", detail);
            self.rate_limits.push((policy.id.clone(), rate));
        }
    }

    /// The models that the key itself may use.
    pub(super) fn hear_key_models(
        &mut self,
        key_id: &Arc<str>,
        globs: Option<&Globs>,
        model: &Arc<str>,
    ) {
        self.allow_only(key_id, &models("models", globs), model);
    }

    fn deny(&mut self, speaker: &Arc<str>, list: &List<'_>, name: &str) {
        if let Some(pattern) = list.globs.and_then(|globs| globs.matching(name)) {
            let detail = format!("{} {name:?} is denied by {speaker} ({pattern})", list.what);
            self.refuse(list.code, speaker, list.rule, &detail);
        }
    }

    fn allow_only(&mut self, speaker: &Arc<str>, list: &List<'_>, name: &Arc<str>) {
        match list.globs.map(|globs| globs.matching(name)) {
            None => {}
            Some(Some(pattern)) => {
                let detail = Detail::Named {
                    what: list.what,
                    name: name.clone(),
                    pattern: pattern.clone(),
                };
                self.allow(speaker, list.rule, detail);
            }
            Some(None) => {
                let detail = format!(
                    "{} {name:?} is not among those that {speaker} allows",
                    list.what
                );
                self.refuse(list.code, speaker, list.rule, &detail);
            }
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
