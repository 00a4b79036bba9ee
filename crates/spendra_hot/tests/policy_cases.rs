//! The policy cases of `tests/policy_cases`, which Python runs too.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod flat_prices;

use std::collections::BTreeMap;
use std::path::Path;

use flat_prices::FlatPrices;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use spendra_hot::glob::Globs;
use spendra_hot::inspect::inspect;
use spendra_hot::keys::Principal;
use spendra_hot::policy::{Decision, PolicyTree, Request};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CaseFile {
    segment: Value,
    prices: FlatPrices,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    key: Key,
    provider: String,
    dialect: String,
    facts: BTreeMap<String, String>,
    body: Value,
    #[serde(default)]
    body_tokens: Option<u64>,
    #[serde(default)]
    closed: Vec<String>,
    #[serde(default)]
    granted_nanousd: Option<u64>,
    #[serde(default)]
    affordable_output: Option<u64>,
    expect: Map<String, Value>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Key {
    id: String,
    name: String,
    environment: String,
    scope: BTreeMap<Box<str>, Vec<Box<str>>>,
    models: Option<Vec<String>>,
    providers: Option<Vec<String>>,
    tools: Option<Vec<String>>,
    #[serde(default)]
    delegated_from: Vec<Box<str>>,
    max_request_nanousd: Option<u64>,
}

impl Key {
    fn principal(&self) -> Principal {
        let scope = self.scope.clone().into_iter();
        Principal {
            projects: Box::default(),
            key_id: self.id.as_str().into(),
            name: self.name.as_str().into(),
            environment: self.environment.as_str().into(),
            scope: scope.map(|(name, values)| (name, values.into())).collect(),
            models: self.models.as_deref().map(Globs::new),
            providers: self.providers.as_deref().map(Globs::new),
            tools: self.tools.as_deref().map(Globs::new),
            delegated_from: self.delegated_from.as_slice().into(),
            max_request_nanousd: self.max_request_nanousd,
        }
    }
}

fn decide(case: &Case, tree: &PolicyTree, prices: &FlatPrices) -> Decision {
    let inspected = inspect(case.body.to_string().as_bytes(), &case.dialect).unwrap();
    let request = Request {
        principal: &case.key.principal(),
        inspected: &inspected,
        provider: &case.provider,
        model: None,
        headers: &case.facts,
        now_ms: 0,
        body_tokens: case.body_tokens,
        tier: None,
        closed: &case.closed,
        granted_nanousd: case.granted_nanousd,
        affordable_output: case.affordable_output,
    };
    tree.decide(&request, prices).unwrap()
}

/// A decision as the cases write it.
fn written(decision: &Decision) -> Value {
    let reasons = decision.reasons.iter();
    let reasons = reasons.map(|it| json!([&*it.policy_id, it.rule, it.verdict.word()]));
    let limits = decision.limits.iter();
    let limits = limits.map(|it| json!([it.rule, &*it.policy_id, it.most]));
    json!({
        "reason": decision.reason,
        "reasons": reasons.collect::<Vec<_>>(),
        "budgets": decision.budgets,
        "limits": limits.collect::<Vec<_>>(),
        "most_tokens": decision.most_tokens,
        "output_cap": decision.output_cap,
        "write_cap": decision.write_cap,
        "input_bound_tokens": decision.input_bound_tokens,
        "estimated_input_tokens": decision.estimated_input_tokens,
        "estimated_nanousd": decision.estimated_nanousd,
        "reserved_nanousd": decision.reserved_nanousd,
        "reserved_input_nanousd": decision.reserved_input_nanousd,
        "price_version": decision.price_version,
        "facts": serde_json::from_str::<Value>(&decision.facts).unwrap(),
    })
}

#[test]
fn every_case_is_decided_as_expected() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/policy_cases");
    let mut cases = 0;
    for file in std::fs::read_dir(folder).unwrap() {
        let text = std::fs::read_to_string(file.unwrap().path()).unwrap();
        let file: CaseFile = serde_json::from_str(&text).unwrap();
        let tree = PolicyTree::load(file.segment.to_string().as_bytes()).unwrap();
        for case in &file.cases {
            let decision = decide(case, &tree, &file.prices);
            let decided = written(&decision);
            for (field, expected) in &case.expect {
                assert_eq!(
                    &decided[field], expected,
                    "{field}: {} ({})",
                    case.name, decision.message
                );
            }
            assert_eq!(
                decision.allowed(),
                decision.message.is_empty(),
                "{}",
                case.name
            );
            cases += 1;
        }
    }
    assert!(cases >= 40, "only {cases} cases were found");
}

#[test]
fn messages_say_what_to_do() {
    let prices: FlatPrices = serde_json::from_value(json!({"openai/m": {
        "input_nanousd": 1, "output_nanousd": 20_000_000, "context_window": null, "max_output": null}}))
    .unwrap();
    let tree =
        PolicyTree::load(br#"{"budgets":[],"policies":[],"default_output_tokens":100}"#).unwrap();
    let case = |body: Value| Case {
        name: String::new(),
        key: serde_json::from_value(
            json!({"id": "k", "name": "n", "environment": "prod", "scope": {},
            "max_request_nanousd": 1_500_000_000}),
        )
        .unwrap(),
        provider: "openai".into(),
        dialect: "openai".into(),
        facts: BTreeMap::new(),
        body,
        body_tokens: None,
        closed: Vec::new(),
        granted_nanousd: None,
        affordable_output: None,
        expect: Map::new(),
    };
    let message = |body: Value| decide(&case(body), &tree, &prices).message;
    let dear = message(json!({"model": "m", "messages": []}));
    assert!(dear.contains("$2.00") && dear.contains("$1.50"), "{dear}");
    let unpriced = message(json!({"model": "other"}));
    assert!(
        unpriced.contains("\"other\"") && unpriced.contains("\"openai\""),
        "{unpriced}"
    );
    let unbounded = message(json!({"model": "m", "messages": [{"type": "image_url"}]}));
    assert!(unbounded.contains("context window of \"m\""), "{unbounded}");
}

#[test]
fn segments_that_cannot_be_meant_are_refused() {
    let policy = |selector: &str, rules: &str| {
        format!(
            r#"{{"budgets":[],"policies":[{{"id":"p","name":"n","selector":{selector},"rules":{rules}}}],"default_output_tokens":1}}"#
        )
    };
    assert!(PolicyTree::load(policy("{}", "{}").as_bytes()).is_ok());
    for (selector, rules, word) in [
        (r#"{"projekt":["a"]}"#, "{}", "projekt"),
        (r#"{"label:":["a"]}"#, "{}", "label:"),
        (r#"{"project":[]}"#, "{}", "accepts no value"),
        ("{}", r#"{"max_tokens":1}"#, "max_tokens"),
        ("{}", r#"{"max_output_tokens":-1}"#, "-1"),
    ] {
        let error = PolicyTree::load(policy(selector, rules).as_bytes())
            .unwrap_err()
            .to_string();
        assert!(error.contains(word), "{error}");
    }
    assert!(PolicyTree::load(b"{}").is_err());
}

#[test]
fn a_header_of_no_dimension_is_an_error() {
    let tree =
        PolicyTree::load(br#"{"budgets":[],"policies":[],"default_output_tokens":1}"#).unwrap();
    let key: Key =
        serde_json::from_value(json!({"id": "k", "name": "n", "environment": "e", "scope": {}}))
            .unwrap();
    let request = Request {
        principal: &key.principal(),
        inspected: &inspect(b"{}", "openai").unwrap(),
        provider: "openai",
        model: None,
        headers: &BTreeMap::from([("department".to_owned(), "x".to_owned())]),
        now_ms: 0,
        body_tokens: None,
        tier: None,
        closed: &[],
        granted_nanousd: None,
        affordable_output: None,
    };
    let prices: FlatPrices = serde_json::from_str("{}").unwrap();
    assert!(
        tree.decide(&request, &prices)
            .unwrap_err()
            .to_string()
            .contains("department")
    );
}
