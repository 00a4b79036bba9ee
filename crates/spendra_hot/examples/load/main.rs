//! A closed-loop load generator for HTTP/1.1, for benches on this machine.
//!
//! N callers each keep one connection and post the same body, one call after the other, for some
//! seconds or some calls. Prints one JSON object; times are microseconds from the first byte sent.
//! `lag_us` is how long an event was under way from the upstream to the caller: with
//! `--upstream-port` this process is also the upstream, and stamps its events with its own clock.
//!
//! ```text
//! cargo run --release --example load -- --port 4141 --header "authorization: Bearer spd_..." \
//!     --body body.json --callers 16 --seconds 5 --warmup 1
//! ```

#![allow(clippy::print_stdout)]

mod answer;
mod caller;
mod options;
mod tally;
mod upstream;

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant};

use options::Options;
use tally::Tally;

/// What the callers and the upstream share.
struct Run {
    options: Options,
    request: Vec<u8>,
    began: Instant,
    begun_calls: AtomicU64,
}

impl Run {
    /// Nanoseconds since the run began.
    fn now(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    fn measures_from(&self) -> u64 {
        nanos(self.options.warmup)
    }

    fn ends_at(&self) -> u64 {
        nanos(self.options.warmup.saturating_add(self.options.length))
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let options = Options::from_args()?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    println!("{}", runtime.block_on(run(options))?);
    Ok(())
}

async fn run(options: Options) -> Result<String, Box<dyn Error>> {
    let run = Arc::new(Run {
        request: options.request()?,
        options,
        began: Instant::now(),
        begun_calls: AtomicU64::new(0),
    });
    if run.options.upstream_port > 0 {
        upstream::listen(Arc::clone(&run)).await?;
    }
    let callers: Vec<_> = (0..run.options.callers)
        .map(|_| tokio::spawn(caller::call_until_done(Arc::clone(&run))))
        .collect();
    let mut all = Tally::default();
    for caller in callers {
        all.add(caller.await?);
    }
    Ok(all.json(run.options.callers, nanos(run.options.length)))
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}
