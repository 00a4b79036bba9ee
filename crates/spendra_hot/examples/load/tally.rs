//! What was seen, and its percentiles.

use std::collections::BTreeMap;
use std::fmt::Write as _;

/// One answered call. Times in nanoseconds since it was asked.
#[derive(Default)]
pub struct Call {
    pub status: u16,
    pub whole: u64,
    first: Option<u64>,
    last: u64,
    gaps: Vec<u64>,
    pub lags: Vec<u64>,
}

impl Call {
    /// A piece of the body came. Pieces of one read are one arrival.
    pub fn piece(&mut self, at: u64) {
        if self.first.is_none() {
            self.first = Some(at);
        } else if at > self.last {
            self.gaps.push(at.saturating_sub(self.last));
        }
        self.last = at;
    }
}

#[derive(Default)]
pub struct Tally {
    statuses: BTreeMap<u16, u64>,
    failures: u64,
    unmeasured: u64,
    /// Answers with status 200 that ended while it was measured, whenever they were asked for.
    in_time: u64,
    whole: Vec<u64>,
    first: Vec<u64>,
    gaps: Vec<u64>,
    lags: Vec<u64>,
}

impl Tally {
    pub fn record(&mut self, call: Call) {
        let count = self.statuses.entry(call.status).or_default();
        *count = count.saturating_add(1);
        self.whole.push(call.whole);
        self.first.extend(call.first);
        self.gaps.extend(call.gaps);
        self.lags.extend(call.lags);
    }

    /// An answer to a call of the warm-up.
    pub fn passed(&mut self) {
        self.unmeasured = self.unmeasured.saturating_add(1);
    }

    pub fn ended_in_time(&mut self) {
        self.in_time = self.in_time.saturating_add(1);
    }

    pub fn failed(&mut self, measured: bool) {
        self.failures = self.failures.saturating_add(u64::from(measured));
    }

    pub fn add(&mut self, other: Self) {
        for (status, count) in other.statuses {
            let sum = self.statuses.entry(status).or_default();
            *sum = sum.saturating_add(count);
        }
        self.failures = self.failures.saturating_add(other.failures);
        self.unmeasured = self.unmeasured.saturating_add(other.unmeasured);
        self.in_time = self.in_time.saturating_add(other.in_time);
        self.whole.extend(other.whole);
        self.first.extend(other.first);
        self.gaps.extend(other.gaps);
        self.lags.extend(other.lags);
    }

    pub fn json(self, callers: usize, measured_ns: u64) -> String {
        let statuses: Vec<String> = self
            .statuses
            .iter()
            .map(|(status, count)| format!("\"{status}\": {count}"))
            .collect();
        let mut text = format!(
            "{{\"callers\": {callers}, \"measured_us\": {}, \"in_time\": {}, \"answers\": {}, \"warmup_answers\": {}, \"failures\": {}, \"statuses\": {{{}}}",
            micros(measured_ns),
            self.in_time,
            self.whole.len(),
            self.unmeasured,
            self.failures,
            statuses.join(", ")
        );
        let times = [
            ("whole_us", self.whole),
            ("first_us", self.first),
            ("gap_us", self.gaps),
            ("lag_us", self.lags),
        ];
        for (name, samples) in times {
            let _ = write!(text, ", \"{name}\": {}", percentiles(samples));
        }
        text + "}"
    }
}

fn percentiles(mut samples: Vec<u64>) -> String {
    samples.sort_unstable();
    let at = |per_mille: usize| micros(nearest_rank(&samples, per_mille));
    format!(
        "{{\"count\": {}, \"p50\": {}, \"p90\": {}, \"p99\": {}, \"p999\": {}, \"max\": {}}}",
        samples.len(),
        at(500),
        at(900),
        at(990),
        at(999),
        at(1000)
    )
}

fn nearest_rank(sorted: &[u64], per_mille: usize) -> u64 {
    let rank = sorted.len().saturating_mul(per_mille).div_ceil(1000);
    sorted.get(rank.saturating_sub(1)).copied().unwrap_or(0)
}

fn micros(nanos: u64) -> String {
    format!("{}.{:03}", nanos / 1000, nanos % 1000)
}
