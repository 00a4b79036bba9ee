//! The price of one model at one time, all layers considered.

use std::sync::Arc;

use super::book::{Customer, Entry, PriceBook, Share};
use super::charge::{Amount, Charge, Exact, INPUT_KINDS, OUTPUT_KINDS, TEXT_INPUT_KINDS};
use super::model::{Model, Sheet, is_standard};
use super::rates::Unit;
use super::{Cost, Layer, Unpriced};
use crate::usage::Usage;

/// Millionths: the price as it stands.
const WHOLE: u64 = 1_000_000;

#[derive(Clone, Debug)]
pub struct Priced<'a> {
    pub(super) book: &'a PriceBook,
    pub(super) entry: Arc<Entry>,
    pub(super) at_ms: i64,
    pub(super) version: String,
    /// The only tier that is considered.
    pub(super) only: Option<String>,
}

/// A layer's answer for one tier.
struct Found<'a> {
    sheet: Sheet<'a>,
    parts: u64,
    layer: Layer,
    id: &'a str,
}

impl<'a> Priced<'a> {
    /// Exact cost, rounded up once; passes of other models are priced as those models.
    pub fn cost(&self, usage: &Usage, tier: Option<&str>) -> Result<Cost, Unpriced> {
        let found = self.found(tier)?;
        let (exact, unpriced) = self.exact(usage, tier)?;
        Ok(Cost {
            nanousd: exact.nanousd(),
            price_version: self.book.version_of(found.layer, found.id),
            layer: found.layer,
            unpriced,
        })
    }

    fn exact(&self, usage: &Usage, tier: Option<&str>) -> Result<(Exact, Vec<Unit>), Unpriced> {
        let found = self.found(tier)?;
        let (amount, mut unpriced) = Charge::new(&found.sheet).all(usage)?;
        let mut exact = amount.times(found.parts);
        for pass in &usage.passes {
            let (more, missing) = self.pass(pass.model.as_deref(), &pass.usage, tier)?;
            exact = exact.plus(more);
            unpriced.extend(missing);
        }
        Ok((exact, unpriced))
    }

    fn pass(
        &self,
        model: Option<&str>,
        usage: &Usage,
        tier: Option<&str>,
    ) -> Result<(Exact, Vec<Unit>), Unpriced> {
        let Some(model) = model else {
            return self.exact(usage, tier);
        };
        let other = self.book.resolve(&self.entry.provider, model, self.at_ms);
        other.ok_or(Unpriced::Model)?.exact(usage, tier)
    }

    /// At this tier only, where it has a price of its own: bounds and estimates are for it.
    #[must_use]
    pub fn at_tier(mut self, tier: &str) -> Self {
        let found = self.found(Some(tier));
        self.only = found.is_ok().then(|| tier.to_owned());
        self
    }

    /// Whether anything is known of what it costs.
    pub fn has_rates(&self) -> bool {
        let tiers = self.tiers();
        let mut found = tiers.iter().filter_map(|tier| self.found(*tier).ok());
        found.any(|found| found.sheet.has_rates())
    }

    /// The most that any usage within these counts can cost: dearest service tier, long-context
    /// price within reach, kind of token, and the fee per request. Rounded up, saturating.
    pub fn bound_nanousd(&self, input_tokens: u64, output_tokens_total: u64) -> u64 {
        self.bound(input_tokens, output_tokens_total, &INPUT_KINDS)
    }

    /// The same for input that is known to be text.
    pub fn text_bound_nanousd(&self, input_tokens: u64, output_tokens_total: u64) -> u64 {
        self.bound(input_tokens, output_tokens_total, &TEXT_INPUT_KINDS)
    }

    /// The most that these calls, pages and characters can cost; or the name of one that has no
    /// price here.
    pub fn fees_bound_nanousd(&self, fees: &Usage) -> Result<u64, &'static str> {
        let mut dearest = 0;
        for tier in self.tiers() {
            let Ok(found) = self.found(tier) else {
                continue;
            };
            let (amount, unpriced) = Charge::new(&found.sheet).only_fees(fees);
            if let Some(unit) = unpriced.first() {
                return Err(unit.name());
            }
            dearest = dearest.max(amount.times(found.parts).nanousd());
        }
        Ok(dearest)
    }

    fn bound(&self, input: u64, output: u64, input_kinds: &[Unit]) -> u64 {
        let tiers = self.tiers();
        let found = tiers.iter().filter_map(|tier| self.found(*tier).ok());
        found
            .map(|found| {
                let dearest = |kinds: &[Unit]| dearest(&found.sheet, kinds, input);
                Amount::of(input, dearest(input_kinds))
                    .plus(Amount::of(output, dearest(&OUTPUT_KINDS)))
                    .plus(Amount::of(1, dearest(&[Unit::Requests])))
                    .times(found.parts)
                    .nanousd()
            })
            .max()
            .unwrap_or(u64::MAX)
    }

    /// What plain text without caches costs at the standard tier.
    pub fn estimate_nanousd(&self, input_tokens: u64, output_tokens: u64) -> u64 {
        let usage = Usage {
            input_tokens,
            output_tokens,
            ..Usage::default()
        };
        self.cost(&usage, self.only.as_deref()).map_or_else(
            |_| self.bound_nanousd(input_tokens, output_tokens),
            |cost| cost.nanousd,
        )
    }

    pub fn context_window(&self) -> Option<u64> {
        self.model()?.context_window
    }

    pub fn max_output(&self) -> Option<u64> {
        self.model()?.max_output
    }

    /// Catalog version, layer and model entry that price the standard tier.
    pub fn version(&self) -> &str {
        &self.version
    }

    pub(super) fn standard_version(&self) -> Option<String> {
        let found = self.found(None).ok()?;
        Some(self.book.version_of(found.layer, found.id))
    }

    fn model(&self) -> Option<&'a Model> {
        self.book.model(self.entry.model?)
    }

    /// Every tier under which the request may be billed.
    fn tiers(&self) -> Vec<Option<&str>> {
        if let Some(only) = &self.only {
            return vec![Some(only)];
        }
        let own = self
            .customers()
            .map(|customer| customer.service_tier.as_deref());
        let catalog = self
            .model()
            .into_iter()
            .flat_map(|model| model.tiers(self.at_ms));
        std::iter::once(None).chain(own).chain(catalog).collect()
    }

    fn customers(&self) -> impl Iterator<Item = &'a Customer> {
        let book = self.book;
        let found = self
            .entry
            .customers
            .iter()
            .filter_map(|at| book.customers.get(*at));
        found.filter(|customer| customer.is_in_force(self.at_ms))
    }

    fn share(&self) -> Option<&'a Share> {
        let book = self.book;
        let mut found = self
            .entry
            .shares
            .iter()
            .filter_map(|at| book.shares.get(*at));
        found.find(|share| share.is_in_force(self.at_ms))
    }

    fn found(&self, tier: Option<&str>) -> Result<Found<'a>, Unpriced> {
        let standard = |tier: Option<&str>| tier.is_none_or(is_standard);
        let mut own = self.customers();
        let same = |customer: &&Customer| {
            let priced = customer.service_tier.as_deref();
            priced == tier || (standard(priced) && standard(tier))
        };
        if let Some(customer) = own.find(same) {
            return Ok(customer_price(customer));
        }
        let model = self.model().ok_or(Unpriced::Model)?;
        let sheet = model.sheet(self.tier_word(tier), self.at_ms)?;
        Ok(match self.share() {
            Some(share) => Found {
                sheet,
                parts: share.parts,
                layer: Layer::CustomerMultiplier,
                id: &share.id,
            },
            None => Found {
                sheet,
                parts: WHOLE,
                layer: Layer::Catalog,
                id: &model.id,
            },
        })
    }

    /// `OpenRouter` names the upstream's capacity and bills its own standard price.
    fn tier_word<'t>(&self, tier: Option<&'t str>) -> Option<&'t str> {
        tier.filter(|tier| !(*tier == "provisioned" && self.entry.provider == "openrouter"))
    }
}

fn customer_price(customer: &Customer) -> Found<'_> {
    Found {
        sheet: Sheet {
            over: Vec::new(),
            standard: Some(&customer.rates),
            prepaid: false,
        },
        parts: WHOLE,
        layer: Layer::CustomerPrice,
        id: &customer.id,
    }
}

fn dearest(sheet: &Sheet<'_>, kinds: &[Unit], input_tokens: u64) -> u64 {
    let rates = kinds.iter().filter_map(|kind| sheet.rate(*kind));
    rates
        .map(|rate| rate.dearest(input_tokens))
        .max()
        .unwrap_or(0)
}
