//! What a caller plugs into an exchange: a meter beside the bytes, a filter in their way.

/// Reads along. It gets the answer's bytes decompressed, in whatever pieces they come.
pub trait Beside: Send + 'static {
    fn feed(&mut self, bytes: &[u8]);
}

/// Rewrites a stream on its way to the caller.
pub trait Filter: Send + 'static {
    /// Appends to `out` what may go on already.
    fn feed(&mut self, bytes: &[u8], out: &mut Vec<u8>);
    /// Appends to `out` what was held back.
    fn finish(&mut self, out: &mut Vec<u8>);
}

/// How the upstream answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// One document.
    Whole,
    /// Events as they happen (SSE, newline-delimited JSON).
    Stream,
}

type MakeMeter<M> = Box<dyn FnOnce(Shape) -> M + Send>;

/// The plugs of one exchange.
pub struct Plugs<M> {
    /// Called once, when the answer's head is there.
    pub meter: MakeMeter<M>,
    /// The answer is a stream whatever its content type says (Google's JSON arrays).
    pub streamed: bool,
    /// Used when the answer is a stream without content encoding.
    pub filter: Option<Box<dyn Filter>>,
}
