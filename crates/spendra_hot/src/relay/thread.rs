//! The relay's thread and the way in.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use tokio::runtime::{Builder, Handle, Runtime};
use tokio::sync::oneshot;

use super::carry::{Errand, carry};
use super::client::{self, Settings, Upstreams};
use super::error::Unusable;
use super::exchange::{Exchange, Shared};
use super::headers::Outbound;
use super::plug::{Beside, Plugs};
use super::sent::{Body, Upload};
use super::{Completions, lock};

/// A pool of upstream connections, served by a thread of its own until it is closed or dropped.
pub struct Relay {
    client: Upstreams,
    settings: Arc<Settings>,
    completions: Arc<Completions>,
    runtime: Handle,
    next_id: AtomicU64,
    thread: Mutex<Option<Running>>,
}

struct Running {
    stop: oneshot::Sender<()>,
    thread: JoinHandle<()>,
}

impl Relay {
    /// An error when the system gives no thread or descriptor, or an extra root is no certificate.
    pub fn new(settings: Settings) -> io::Result<Self> {
        let client = client::build(&settings).map_err(io::Error::other)?;
        let runtime = Builder::new_current_thread()
            .enable_io()
            .enable_time()
            .build()?;
        Ok(Self {
            client,
            settings: Arc::new(settings),
            completions: Arc::new(Completions::new()?),
            runtime: runtime.handle().clone(),
            next_id: AtomicU64::new(0),
            thread: Mutex::new(Some(run(runtime)?)),
        })
    }

    pub fn completions(&self) -> &Arc<Completions> {
        &self.completions
    }

    /// Starts. The exchange's id is completed when its head (with a body of up to `buffer_limit`
    /// bytes, unless it is a stream) or its failure is there.
    pub fn send<M: Beside>(
        &self,
        outbound: Outbound<'_>,
        body: Body,
        plugs: Plugs<M>,
        buffer_limit: usize,
    ) -> Result<Exchange<M>, Unusable> {
        if lock(&self.thread).is_none() {
            return Err(Unusable("the relay is closed".to_owned()));
        }
        let errand = Errand {
            client: self.client.clone(),
            settings: Arc::clone(&self.settings),
            request: outbound.into_request(body)?,
            plugs,
            buffer_limit,
        };
        Ok(self.start(errand))
    }

    /// A body that is sent in pieces; `length` in bytes where it is known, else it is chunked.
    pub fn upload(&self, length: Option<u64>) -> (Upload, Body) {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let completions = Arc::clone(&self.completions);
        let (upload, pieces) = Upload::new(id, self.runtime.clone(), completions);
        (upload, Body::Pieces(pieces, length))
    }

    fn start<M: Beside>(&self, errand: Errand<M>) -> Exchange<M> {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let shared = Arc::new(Shared::new(id, Arc::clone(&self.completions)));
        let task = self.runtime.spawn(carry(errand, Arc::clone(&shared)));
        Exchange {
            shared,
            task: task.abort_handle(),
        }
    }

    /// Closes every connection and ends the thread; idempotent.
    pub fn close(&self) {
        let Some(running) = lock(&self.thread).take() else {
            return;
        };
        let _ = running.stop.send(());
        let _ = running.thread.join();
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.close();
    }
}

fn run(runtime: Runtime) -> io::Result<Running> {
    let (stop, stopped) = oneshot::channel();
    let thread = std::thread::Builder::new().name("spendra-relay".to_owned());
    let thread = thread.spawn(move || {
        let _ = runtime.block_on(stopped);
        // A name resolution that hangs does not keep us.
        runtime.shutdown_background();
    })?;
    Ok(Running { stop, thread })
}
