//! One model of the catalog, compiled: its prices by time and by service tier.

use super::matching::Matcher;
use super::rates::{Rate, Rates, Unit};
use super::segment::{self, When};
use super::{BadPrices, Unpriced};

const DAY_MINUTES: i64 = 24 * 60;
const MINUTE_MS: i64 = 60_000;

#[derive(Debug)]
pub(super) struct Model {
    pub id: String,
    pub matcher: Matcher,
    pub context_window: Option<u64>,
    pub max_output: Option<u64>,
    prices: Vec<(When, Rates)>,
    tiers: Vec<(String, When, Rates)>,
}

/// The prices in force at one time and tier: what the tier changes, over the standard ones.
#[derive(Clone, Debug)]
pub(super) struct Sheet<'a> {
    pub over: Vec<&'a Rates>,
    pub standard: Option<&'a Rates>,
    /// Bought capacity: the tokens cost nothing more.
    pub prepaid: bool,
}

impl<'a> Sheet<'a> {
    pub fn rate(&self, unit: Unit) -> Option<&'a Rate> {
        let mut sheets = self.over.iter().copied().chain(self.standard);
        sheets.find_map(|rates| rates.get(unit))
    }

    /// An entry without any rate says nothing; what is free says 0.
    pub fn has_rates(&self) -> bool {
        let mut sheets = self.over.iter().copied().chain(self.standard);
        self.prepaid || sheets.any(|rates| !rates.is_empty())
    }

    pub fn unknown(&self) -> Option<&'a str> {
        let mut sheets = self.over.iter().copied().chain(self.standard);
        sheets.find_map(|rates| rates.unknown.as_deref())
    }
}

impl Model {
    pub fn compile(model: &segment::Model) -> Result<Self, BadPrices> {
        let named = |error: BadPrices| BadPrices(format!("model {}: {error}", model.id));
        let dated = |dated: &segment::Dated| Ok((dated.when, Rates::read(&dated.rates)?));
        let tiered = |tiered: &segment::Tiered| {
            let rates = Rates::read(&tiered.rates)?;
            Ok((tiered.tier.clone(), tiered.when, rates))
        };
        let prices: Result<Vec<_>, _> = model.prices.iter().map(dated).collect();
        let tiers: Result<Vec<_>, _> = model.tiers.iter().map(tiered).collect();
        Ok(Self {
            id: model.id.clone(),
            matcher: Matcher::compile(&model.r#match).map_err(named)?,
            context_window: model.context_window,
            max_output: model.max_output,
            prices: prices.map_err(named)?,
            tiers: tiers.map_err(named)?,
        })
    }

    pub fn sheet(&self, tier: Option<&str>, at_ms: i64) -> Result<Sheet<'_>, Unpriced> {
        let asked = tier.unwrap_or("default");
        let over = self.over(asked, at_ms);
        let prepaid = asked == PREPAID;
        if over.is_empty() && !is_standard(asked) && !prepaid {
            return Err(Unpriced::Tier(asked.to_owned()));
        }
        let standard = self.standard(at_ms).ok_or(Unpriced::Model)?;
        Ok(Sheet {
            over,
            standard: Some(standard),
            prepaid,
        })
    }

    fn over(&self, asked: &str, at_ms: i64) -> Vec<&Rates> {
        let tiers = self.tiers.iter();
        tiers
            .filter(|(tier, when, _)| tier == asked && is_in_force(*when, at_ms))
            .map(|(_, _, rates)| rates)
            .collect()
    }

    fn standard(&self, at_ms: i64) -> Option<&Rates> {
        let mut latest_first = self.prices.iter().rev();
        latest_first
            .find(|(when, _)| is_in_force(*when, at_ms))
            .or_else(|| self.prices.first())
            .map(|(_, rates)| rates)
    }

    /// Every tier that has a price of its own then, the standard one first.
    pub fn tiers(&self, at_ms: i64) -> impl Iterator<Item = Option<&str>> {
        let priced = self.tiers.iter();
        let priced = priced.filter(move |(_, when, _)| is_in_force(*when, at_ms));
        std::iter::once(None).chain(priced.map(|(tier, _, _)| Some(tier.as_str())))
    }
}

/// Vertex's word for bought capacity.
const PREPAID: &str = "provisioned_throughput";

/// The words by which providers say that no tier was priced apart.
pub(super) fn is_standard(tier: &str) -> bool {
    matches!(
        tier.to_ascii_lowercase().as_str(),
        "default" | "standard" | "auto" | "on_demand" | "standard_only"
    )
}

fn is_in_force(when: When, at_ms: i64) -> bool {
    let begun = when.from_ms.is_none_or(|from| at_ms >= from);
    begun && when.daily.is_none_or(|daily| is_within(daily, at_ms))
}

fn is_within((from, until): (u16, u16), at_ms: i64) -> bool {
    let minute = at_ms.div_euclid(MINUTE_MS).rem_euclid(DAY_MINUTES);
    let (from, until) = (i64::from(from), i64::from(until));
    if until < from {
        return minute >= from || minute < until;
    }
    (from..until).contains(&minute)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_daily_window_may_pass_midnight() {
        let at = |hour: i64, minute: i64| (hour * 60 + minute) * MINUTE_MS;
        assert!(is_within((30, 990), at(0, 30)) && !is_within((30, 990), at(16, 30)));
        assert!(is_within((990, 30), at(23, 0)) && is_within((990, 30), at(0, 29)));
        assert!(!is_within((990, 30), at(12, 0)));
        assert!(is_within((30, 990), at(12, 0) - 48 * 60 * MINUTE_MS));
    }
}
