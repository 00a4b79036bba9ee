//! The whole price segment, compiled once; a name that was asked before is a hash map hit.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use crate::glob::Globs;

use super::matching::{Matcher, glob, with_dashed_date};
use super::model::Model;
use super::priced::Priced;
use super::rates::Rates;
use super::segment::{self, Effective, Segment};
use super::{BadPrices, Cost, Layer, Unpriced, decimal};
use crate::usage::Usage;

/// Names remembered per book: callers choose model names, so the memory of them is bounded.
const MAX_REMEMBERED: usize = 4096;

type Remembered = HashMap<String, HashMap<String, Option<Arc<Entry>>>>;

#[derive(Debug)]
pub struct PriceBook {
    version: String,
    providers: Vec<Provider>,
    pub(super) customers: Vec<Customer>,
    pub(super) shares: Vec<Share>,
    remembered: RwLock<Remembered>,
}

#[derive(Debug)]
struct Provider {
    id: String,
    matcher: Option<Matcher>,
    fallback: Vec<usize>,
    models: Vec<Model>,
}

/// A price of the customer's own, with the names it is for.
#[derive(Debug)]
pub(super) struct Customer {
    pub id: String,
    names: Names,
    pub service_tier: Option<String>,
    effective: Effective,
    pub rates: Rates,
}

/// A customer's share of the catalog price, in millionths.
#[derive(Debug)]
pub(super) struct Share {
    pub id: String,
    names: Names,
    effective: Effective,
    pub parts: u64,
}

#[derive(Debug)]
struct Names {
    provider: Globs,
    model: Globs,
}

/// What a provider's model name means: positions in the book.
#[derive(Debug)]
pub(super) struct Entry {
    pub provider: String,
    pub model: Option<(usize, usize)>,
    pub customers: Vec<usize>,
    pub shares: Vec<usize>,
}

impl PriceBook {
    /// From the snapshot's `prices` segment.
    pub fn load(segment: &[u8]) -> Result<Self, BadPrices> {
        let segment: Segment = serde_json::from_slice(segment)
            .map_err(|error| BadPrices(format!("the prices segment: {error}")))?;
        let ids: Vec<&str> = segment
            .providers
            .iter()
            .map(|found| found.id.as_str())
            .collect();
        let providers = segment.providers.iter();
        Ok(Self {
            providers: providers
                .map(|p| Provider::compile(p, &ids))
                .collect::<Result<_, _>>()?,
            customers: segment
                .customer_prices
                .iter()
                .map(Customer::compile)
                .collect::<Result<_, _>>()?,
            shares: segment
                .multipliers
                .iter()
                .map(Share::compile)
                .collect::<Result<_, _>>()?,
            remembered: RwLock::default(),
            version: segment.version,
        })
    }

    pub fn version(&self) -> &str {
        &self.version
    }

    /// Models in the catalog.
    pub fn len(&self) -> usize {
        self.providers
            .iter()
            .map(|provider| provider.models.len())
            .sum()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The price of a model at a time. None: no layer knows it then.
    pub fn resolve(&self, provider: &str, model: &str, at_ms: i64) -> Option<Priced<'_>> {
        let mut priced = Priced {
            book: self,
            entry: self.entry(provider, model)?,
            at_ms,
            version: String::new(),
            only: None,
        };
        priced.version = priced.standard_version()?;
        Some(priced)
    }

    /// Exact cost, rounded up once, or why there is none.
    pub fn cost(
        &self,
        provider: &str,
        model: &str,
        usage: &Usage,
        service_tier: Option<&str>,
        at_ms: i64,
    ) -> Result<Cost, Unpriced> {
        let priced = self
            .resolve(provider, model, at_ms)
            .ok_or(Unpriced::Model)?;
        priced.cost(usage, service_tier)
    }

    pub(super) fn model(&self, (provider, model): (usize, usize)) -> Option<&Model> {
        self.providers.get(provider)?.models.get(model)
    }

    pub(super) fn version_of(&self, layer: Layer, id: &str) -> String {
        format!("{}:{}:{id}", self.version, layer.name())
    }

    fn entry(&self, provider: &str, model: &str) -> Option<Arc<Entry>> {
        let remembered = self
            .remembered
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = remembered
            .get(provider)
            .and_then(|models| models.get(model))
        {
            return found.clone();
        }
        drop(remembered);
        let found = self.find(provider, model).map(Arc::new);
        self.remember(provider, model, found.clone());
        found
    }

    fn remember(&self, provider: &str, model: &str, found: Option<Arc<Entry>>) {
        let mut remembered = self
            .remembered
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        let count: usize = remembered.values().map(HashMap::len).sum();
        if count >= MAX_REMEMBERED {
            remembered.clear();
        }
        let models = remembered.entry(provider.to_owned()).or_default();
        models.insert(model.to_owned(), found);
    }

    fn find(&self, provider: &str, model: &str) -> Option<Entry> {
        let provider = provider.trim().to_lowercase();
        let model = model.to_lowercase();
        let model = model.strip_prefix("models/").unwrap_or(&model);
        let at = |names: &Names| names.are_for(&provider, model);
        let entry = Entry {
            provider: provider.clone(),
            model: self.find_model(&provider, model),
            customers: positions(&self.customers, |found| at(&found.names)),
            shares: positions(&self.shares, |found| at(&found.names)),
        };
        (entry.model.is_some() || !entry.customers.is_empty()).then_some(entry)
    }

    fn find_model(&self, provider: &str, model: &str) -> Option<(usize, usize)> {
        let provider = self.find_provider(provider)?;
        self.match_model(provider, model).or_else(|| {
            let dashed = with_dashed_date(model)?;
            self.match_model(provider, &dashed)
        })
    }

    fn find_provider(&self, name: &str) -> Option<usize> {
        let providers = &self.providers;
        let alias = |found: &Provider| found.matcher.as_ref().is_some_and(|m| m.is_match(name));
        providers
            .iter()
            .position(|found| found.id == name)
            .or_else(|| providers.iter().position(alias))
    }

    /// The provider's own model, or one of those it serves for others.
    fn match_model(&self, provider: usize, model: &str) -> Option<(usize, usize)> {
        let fallback = &self.providers.get(provider)?.fallback;
        std::iter::once(&provider).chain(fallback).find_map(|at| {
            let models = &self.providers.get(*at)?.models;
            let found = models
                .iter()
                .position(|found| found.matcher.is_match(model))?;
            Some((*at, found))
        })
    }
}

impl Provider {
    fn compile(provider: &segment::Provider, ids: &[&str]) -> Result<Self, BadPrices> {
        let position = |name: &String| ids.iter().position(|id| id == name);
        let models = provider.models.iter().map(Model::compile);
        Ok(Self {
            id: provider.id.clone(),
            matcher: provider
                .r#match
                .as_ref()
                .map(Matcher::compile)
                .transpose()?,
            fallback: provider.fallback.iter().filter_map(position).collect(),
            models: models.collect::<Result<_, _>>()?,
        })
    }
}

impl Customer {
    fn compile(price: &segment::CustomerPrice) -> Result<Self, BadPrices> {
        Ok(Self {
            id: price.id.clone(),
            names: Names::compile(&price.provider, &price.model),
            service_tier: price.service_tier.clone(),
            effective: price.effective,
            rates: Rates::read(&price.rates)?,
        })
    }

    pub fn is_in_force(&self, at_ms: i64) -> bool {
        self.effective.is_at(at_ms)
    }
}

impl Share {
    fn compile(share: &segment::Multiplier) -> Result<Self, BadPrices> {
        Ok(Self {
            id: share.id.clone(),
            names: Names::compile(&share.provider, &share.model),
            effective: share.effective,
            parts: decimal::scaled(&share.share, 6)?,
        })
    }

    pub fn is_in_force(&self, at_ms: i64) -> bool {
        self.effective.is_at(at_ms)
    }
}

impl Names {
    fn compile(provider: &str, model: &str) -> Self {
        Self {
            provider: glob(provider),
            model: glob(model),
        }
    }

    fn are_for(&self, provider: &str, model: &str) -> bool {
        self.provider.matching(provider).is_some() && self.model.matching(model).is_some()
    }
}

impl Effective {
    /// From its start up to, not including, its end.
    fn is_at(self, at_ms: i64) -> bool {
        self.starts_at_ms.is_none_or(|start| at_ms >= start)
            && self.ends_at_ms.is_none_or(|end| at_ms < end)
    }
}

fn positions<T>(items: &[T], wanted: impl Fn(&T) -> bool) -> Vec<usize> {
    let numbered = items.iter().enumerate();
    numbered
        .filter(|(_, item)| wanted(item))
        .map(|(at, _)| at)
        .collect()
}
