//! Usage times rates. Sums are in pico-USD times the milliseconds of an hour, so that hourly
//! prices stay exact too; one rounding up ends them.

use super::Unpriced;
use super::model::Sheet;
use super::rates::Unit;
use crate::usage::Usage;

const HOUR_MS: u128 = 3_600_000;
const PICO_PER_NANO: u128 = 1_000;
const PARTS: u128 = 1_000_000;

/// Kinds of input tokens, and of output tokens, that may be priced apart.
pub(super) const INPUT_KINDS: [Unit; 8] = [
    Unit::Input,
    Unit::CacheRead,
    Unit::CacheWrite,
    Unit::CacheWrite1h,
    Unit::InputAudio,
    Unit::CacheAudioRead,
    Unit::InputImage,
    Unit::InputVideo,
];
pub(super) const TEXT_INPUT_KINDS: [Unit; 4] = [
    Unit::Input,
    Unit::CacheRead,
    Unit::CacheWrite,
    Unit::CacheWrite1h,
];
pub(super) const OUTPUT_KINDS: [Unit; 6] = [
    Unit::Output,
    Unit::OutputAudio,
    Unit::OutputImage,
    Unit::OutputVideo,
    Unit::OutputReasoning,
    Unit::OutputCitation,
];

/// An exact amount, not yet rounded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Amount(u128);

impl Amount {
    pub fn of(count: u64, price: u64) -> Self {
        Self(
            u128::from(count)
                .saturating_mul(u128::from(price))
                .saturating_mul(HOUR_MS),
        )
    }

    fn of_time(ms: u64, price_per_hour: u64) -> Self {
        Self(u128::from(ms).saturating_mul(u128::from(price_per_hour)))
    }

    pub fn plus(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }

    pub fn times(self, parts: u64) -> Exact {
        Exact(self.0.saturating_mul(u128::from(parts)))
    }
}

/// An amount at so many millionths of the price, still exact.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Exact(u128);

impl Exact {
    pub fn plus(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }

    /// Rounded up.
    pub fn nanousd(self) -> u64 {
        let unit = HOUR_MS.saturating_mul(PICO_PER_NANO).saturating_mul(PARTS);
        u64::try_from(self.0.div_ceil(unit)).unwrap_or(u64::MAX)
    }
}

/// What was charged so far, and what was used without having a price.
pub(super) struct Charge<'a> {
    sheet: &'a Sheet<'a>,
    input_tokens: u64,
    sum: Amount,
    pub unpriced: Vec<Unit>,
}

impl<'a> Charge<'a> {
    pub fn new(sheet: &'a Sheet<'a>) -> Self {
        Self {
            sheet,
            input_tokens: 0,
            sum: Amount::default(),
            unpriced: Vec::new(),
        }
    }

    /// All of one usage but its passes, which have models of their own.
    pub fn all(mut self, usage: &Usage) -> Result<(Amount, Vec<Unit>), Unpriced> {
        if let Some(unknown) = self.sheet.unknown() {
            return Err(Unpriced::Rate(unknown.to_owned()));
        }
        if !self.sheet.prepaid {
            let rounds = match usage.rounds.as_slice() {
                [] => std::slice::from_ref(usage),
                rounds => rounds,
            };
            rounds.iter().try_for_each(|round| self.tokens(round))?;
        }
        self.fees(usage);
        Ok((self.sum, self.unpriced))
    }

    /// Of the counts that are not tokens. The fee per request is not among them.
    pub fn only_fees(mut self, usage: &Usage) -> (Amount, Vec<Unit>) {
        self.calls(usage);
        self.time(usage.audio_ms);
        (self.sum, self.unpriced)
    }

    fn tokens(&mut self, usage: &Usage) -> Result<(), Unpriced> {
        self.input_tokens = all_input(usage);
        if !self.by_time() {
            self.input(usage)?;
            self.output(usage)?;
        }
        Ok(())
    }

    /// Speech models may be priced by the hour of audio, whatever tokens they report.
    fn by_time(&self) -> bool {
        let hourly = [Unit::AudioHours, Unit::InputAudioHours];
        self.sheet.rate(Unit::Input).is_none()
            && hourly.iter().any(|unit| self.sheet.rate(*unit).is_some())
    }

    fn input(&mut self, usage: &Usage) -> Result<(), Unpriced> {
        let parts = InputParts::of(usage);
        self.add(parts.fresh, &[Unit::Input])?;
        self.add(parts.audio, &[Unit::InputAudio, Unit::Input])?;
        self.add(parts.image, &[Unit::InputImage, Unit::Input])?;
        self.add(parts.video, &[Unit::InputVideo, Unit::Input])?;
        self.add(parts.cached, &[Unit::CacheRead, Unit::Input])?;
        let audio = [
            Unit::CacheAudioRead,
            Unit::CacheRead,
            Unit::InputAudio,
            Unit::Input,
        ];
        self.add(parts.cached_audio, &audio)?;
        let image = [
            Unit::CacheImageRead,
            Unit::CacheRead,
            Unit::InputImage,
            Unit::Input,
        ];
        self.add(parts.cached_image, &image)?;
        self.add(parts.written, &[Unit::CacheWrite, Unit::Input])?;
        let hour = [Unit::CacheWrite1h, Unit::CacheWrite, Unit::Input];
        self.add(parts.written_1h, &hour)
    }

    fn output(&mut self, usage: &Usage) -> Result<(), Unpriced> {
        let mut rest = usage.output_tokens;
        let mut part = |count: u64| take(&mut rest, count);
        let audio = part(usage.output_audio_tokens);
        let image = part(usage.output_image_tokens);
        let reasoning = part(usage.reasoning_tokens);
        let text = rest.saturating_add(usage.hidden_output_tokens);
        self.add(audio, &[Unit::OutputAudio, Unit::Output])?;
        self.add(image, &[Unit::OutputImage, Unit::Output])?;
        self.add(reasoning, &[Unit::OutputReasoning, Unit::Output])?;
        self.add(usage.citation_tokens, &[Unit::OutputCitation, Unit::Output])?;
        self.add(text, &[Unit::Output])
    }

    /// Tokens at the first of these prices that exists.
    fn add(&mut self, count: u64, units: &[Unit]) -> Result<(), Unpriced> {
        if count == 0 {
            return Ok(());
        }
        let rate = units.iter().find_map(|unit| self.sheet.rate(*unit));
        let named = units.last().copied().unwrap_or(Unit::Input);
        let price = rate.ok_or(Unpriced::Unit(named))?.at(self.input_tokens);
        self.sum = self.sum.plus(Amount::of(count, price));
        Ok(())
    }

    fn fees(&mut self, usage: &Usage) {
        self.calls(usage);
        if let Some(rate) = self.sheet.rate(Unit::Requests) {
            self.sum = self.sum.plus(Amount::of(1, rate.at(self.input_tokens)));
        }
        self.time(usage.audio_ms);
    }

    fn calls(&mut self, usage: &Usage) {
        for (unit, count) in [
            (Unit::WebSearches, usage.web_searches),
            (Unit::FileSearches, usage.file_searches),
            (Unit::SearchUnits, usage.search_units),
            (Unit::Pages, usage.pages),
            (Unit::AnnotatedPages, usage.annotated_pages),
            (Unit::Characters, usage.billable_characters),
        ] {
            self.fee(unit, count);
        }
    }

    fn fee(&mut self, unit: Unit, count: u64) {
        match self.sheet.rate(unit) {
            Some(rate) => self.sum = self.sum.plus(Amount::of(count, rate.at(self.input_tokens))),
            None if count > 0 => self.unpriced.push(unit),
            None => {}
        }
    }

    fn time(&mut self, audio_ms: u64) {
        let units = [Unit::AudioHours, Unit::InputAudioHours];
        if let Some(rate) = units.iter().find_map(|unit| self.sheet.rate(*unit)) {
            self.sum = self
                .sum
                .plus(Amount::of_time(audio_ms, rate.at(self.input_tokens)));
        }
    }
}

/// What long-context prices are judged by.
fn all_input(usage: &Usage) -> u64 {
    usage
        .input_tokens
        .saturating_add(usage.added_input_audio_tokens)
        .saturating_add(usage.tool_use_input_tokens)
}

fn take(rest: &mut u64, count: u64) -> u64 {
    let taken = count.min(*rest);
    *rest = rest.saturating_sub(taken);
    taken
}

/// Input split so that each token is priced once, whatever overlaps the report has.
struct InputParts {
    fresh: u64,
    audio: u64,
    image: u64,
    video: u64,
    cached: u64,
    cached_audio: u64,
    cached_image: u64,
    written: u64,
    written_1h: u64,
}

impl InputParts {
    fn of(usage: &Usage) -> Self {
        let mut fresh = usage.input_tokens;
        let mut cached = take(&mut fresh, usage.cached_input_tokens);
        let mut written = take(&mut fresh, usage.cache_write_tokens);
        let cached_audio = take(&mut cached, usage.cached_audio_tokens);
        let cached_image = take(&mut cached, usage.cached_image_tokens);
        let written_1h = take(&mut written, usage.cache_write_1h_tokens);
        let within = usage
            .input_audio_tokens
            .saturating_sub(usage.added_input_audio_tokens);
        let audio = take(&mut fresh, within.saturating_sub(cached_audio));
        let image = take(
            &mut fresh,
            usage.input_image_tokens.saturating_sub(cached_image),
        );
        let video = take(&mut fresh, usage.input_video_tokens);
        Self {
            fresh: fresh.saturating_add(usage.tool_use_input_tokens),
            audio: audio.saturating_add(usage.added_input_audio_tokens),
            image,
            video,
            cached,
            cached_audio,
            cached_image,
            written,
            written_1h,
        }
    }
}
