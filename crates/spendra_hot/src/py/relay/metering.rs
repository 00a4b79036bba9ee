//! The meter and the filter that the relay is given: the only file here that knows them.

use super::super::usage::Metered;
use crate::relay::{Beside, Exchange, Filter, Plugs, Shape};
use crate::usage::{Dialect, Meter, UsageHider};

impl Beside for Meter {
    fn feed(&mut self, bytes: &[u8]) {
        self.feed(bytes);
    }
}

impl Filter for UsageHider {
    fn feed(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        out.extend(self.feed(bytes));
    }

    fn finish(&mut self, out: &mut Vec<u8>) {
        out.extend(self.finish());
    }
}

pub fn plugs(dialect: &str, hide_usage: bool, streamed: bool) -> Plugs<Meter> {
    let dialect = Dialect::of(dialect);
    Plugs {
        meter: Box::new(move |shape| Meter::new(dialect, shape == Shape::Stream)),
        streamed,
        filter: hide_usage.then(|| Box::<UsageHider>::default() as Box<dyn Filter>),
    }
}

/// What is known if nothing more comes. Before the head came, that is nothing.
pub fn metered(exchange: &Exchange<Meter>) -> Metered {
    let known = exchange.metered(|meter| {
        meter.end();
        meter.metered()
    });
    Metered(known.unwrap_or_default())
}
