//! Prices per unit, as integers.

use std::collections::BTreeMap;

use super::BadPrices;
use super::decimal::scaled;
use super::segment::Amount;

macro_rules! units {
    ($($unit:ident = $name:literal, $decimals:literal;)*) => {
        /// What is counted and charged.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Unit { $($unit,)* }

        impl Unit {
            /// Of every kind of price that this release knows.
            pub const NAMES: &'static [&'static str] = &[$($name),*];

            /// The name its price has in the catalog.
            pub fn name(self) -> &'static str {
                match self { $(Self::$unit => $name,)* }
            }

            fn of(name: &str) -> Option<(Self, u32)> {
                match name { $($name => Some((Self::$unit, $decimals)),)* _ => None }
            }
        }
    };
}

// USD per million scaled by 10^6, per thousand by 10^9 and per hour by 10^12: pico-USD per
// token, per call, and per hour.
units! {
    Input = "input_mtok", 6;
    Output = "output_mtok", 6;
    CacheRead = "cache_read_mtok", 6;
    CacheWrite = "cache_write_mtok", 6;
    CacheWrite1h = "cache_write_1h_mtok", 6;
    InputAudio = "input_audio_mtok", 6;
    CacheAudioRead = "cache_audio_read_mtok", 6;
    OutputAudio = "output_audio_mtok", 6;
    InputImage = "input_image_mtok", 6;
    CacheImageRead = "cache_image_read_mtok", 6;
    OutputImage = "output_image_mtok", 6;
    InputVideo = "input_video_mtok", 6;
    OutputVideo = "output_video_mtok", 6;
    OutputReasoning = "output_reasoning_mtok", 6;
    OutputCitation = "output_citation_mtok", 6;
    Characters = "input_mchars", 6;
    WebSearches = "web_searches_kcount", 9;
    FileSearches = "storage_searches_kcount", 9;
    SearchUnits = "rerank_searches_kcount", 9;
    Requests = "requests_kcount", 9;
    TextMessages = "input_text_messages_kcount", 9;
    Pages = "input_document_kpages", 9;
    AnnotatedPages = "input_annotated_document_kpages", 9;
    AudioHours = "audio_hours", 12;
    InputAudioHours = "input_audio_hours", 12;
}

/// A price, and what it becomes for the whole request above a count of input tokens.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Rate {
    base: u64,
    above: Vec<(u64, u64)>,
}

impl Rate {
    fn read(amount: &Amount, decimals: u32) -> Result<Self, BadPrices> {
        let (base, above) = match amount {
            Amount::Flat(base) => (base, &[][..]),
            Amount::Stepped { base, above } => (base, above.as_slice()),
        };
        let step = |(from, price): &(u64, String)| Ok((*from, scaled(price, decimals)?));
        let mut above = above.iter().map(step).collect::<Result<Vec<_>, _>>()?;
        above.sort_unstable_by_key(|step| step.0);
        Ok(Self {
            base: scaled(base, decimals)?,
            above,
        })
    }

    pub fn at(&self, input_tokens: u64) -> u64 {
        let steps = self.above.iter().rev();
        let mut reached = steps.filter(|(from, _)| input_tokens > *from);
        reached.next().map_or(self.base, |(_, price)| *price)
    }

    /// The dearest at any count up to this one.
    pub fn dearest(&self, input_tokens: u64) -> u64 {
        let reachable = self.above.iter().filter(|(from, _)| input_tokens > *from);
        reachable.map(|(_, price)| *price).fold(self.base, u64::max)
    }
}

/// The prices of one entry. A kind of price that is not known is kept by name.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Rates {
    rates: Vec<(Unit, Rate)>,
    pub unknown: Option<String>,
}

impl Rates {
    pub fn is_empty(&self) -> bool {
        self.rates.is_empty()
    }

    pub fn read(amounts: &BTreeMap<String, Amount>) -> Result<Self, BadPrices> {
        let mut found = Self::default();
        for (name, amount) in amounts {
            match Unit::of(name) {
                Some((unit, decimals)) => found.rates.push((unit, Rate::read(amount, decimals)?)),
                None => found.unknown = Some(name.clone()),
            }
        }
        Ok(found)
    }

    pub fn get(&self, unit: Unit) -> Option<&Rate> {
        let mut rates = self.rates.iter();
        rates
            .find(|(found, _)| *found == unit)
            .map(|(_, rate)| rate)
    }
}
