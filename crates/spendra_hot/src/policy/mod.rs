//! Decisions: may this request leave, within which cap, and what can it cost at worst.

mod cap;
mod decide;
mod decision;
mod detail;
mod facts;
mod input;
mod priced;
mod prices;
mod rules;
mod segment;
mod selector;
mod tree;
mod vendor;

pub use decide::Request;
pub use decision::{Decision, Limit, Reason, Verdict};
pub use facts::KEY_DIMENSIONS;
pub use prices::{Prices, Quote};
pub use tree::PolicyTree;
pub use vendor::vendor;
