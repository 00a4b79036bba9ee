//! A caller of the relay: an event loop that watches the bell.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use spendra_hot::relay::{
    Beside, Body, Completions, Exchange, Filter, Outbound, Plugs, Relay, Settings, Taken,
    UpstreamError,
};
use tokio::sync::watch;

/// Keeps all it is fed.
#[derive(Default)]
pub struct Witness(pub Vec<u8>);

impl Beside for Witness {
    fn feed(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }
}

pub type Seen = Exchange<Witness>;

pub struct Caller {
    pub relay: Relay,
    told: Arc<Mutex<HashSet<u64>>>,
    rings: watch::Receiver<()>,
}

#[derive(Default)]
pub struct Ask {
    pub headers: Vec<(String, String)>,
    pub filter: Option<Box<dyn Filter>>,
    pub buffer_limit: Option<usize>,
}

pub fn quick() -> Settings {
    Settings {
        connect_timeout: Duration::from_secs(20),
        first_byte_timeout: Duration::from_secs(20),
        idle_timeout: Duration::from_secs(20),
        ..Settings::default()
    }
}

impl Caller {
    pub fn new(settings: Settings) -> Self {
        let relay = Relay::new(settings).unwrap();
        let told = Arc::new(Mutex::new(HashSet::new()));
        let (ring, rings) = watch::channel(());
        let completions = Arc::clone(relay.completions());
        let heard = Arc::clone(&told);
        thread::spawn(move || listen(&completions, &heard, &ring));
        Self { relay, told, rings }
    }

    pub fn start(&self, url: &str, ask: Ask) -> Seen {
        let outbound = Outbound {
            method: "POST",
            url,
            headers: &ask.headers,
        };
        let plugs = Plugs {
            meter: Box::new(|_| Witness::default()),
            streamed: false,
            filter: ask.filter,
        };
        let limit = ask.buffer_limit.unwrap_or(1 << 20);
        self.relay
            .send(outbound, Body::Whole("{\"a\":1}".into()), plugs, limit)
            .unwrap()
    }

    /// Waits until the relay has named this exchange.
    pub async fn told(&self, id: u64) {
        let mut rings = self.rings.clone();
        rings.mark_unchanged();
        while !self.told.lock().unwrap().remove(&id) {
            rings.changed().await.unwrap();
        }
    }

    pub fn was_told(&self, id: u64) -> bool {
        self.told.lock().unwrap().remove(&id)
    }

    pub async fn ask(&self, url: &str, ask: Ask) -> Result<Seen, UpstreamError> {
        let exchange = self.start(url, ask);
        self.told(exchange.id()).await;
        match exchange.head() {
            Some(_) => Ok(exchange),
            None => Err(exchange.failure().unwrap()),
        }
    }

    pub async fn get(&self, url: &str) -> Result<Seen, UpstreamError> {
        self.ask(url, Ask::default()).await
    }

    /// The next bytes, nothing at the end.
    pub async fn next(&self, exchange: &Seen) -> Result<Option<Vec<u8>>, UpstreamError> {
        loop {
            match exchange.take() {
                Taken::Bytes(chunks) => return Ok(Some(chunks.concat())),
                Taken::End => return Ok(None),
                Taken::Failed(error) => return Err(error),
                Taken::Nothing => self.told(exchange.id()).await,
            }
        }
    }

    /// All bytes, and how it ended.
    pub async fn rest(&self, exchange: &Seen) -> (Vec<u8>, Result<(), UpstreamError>) {
        let mut all = Vec::new();
        loop {
            match self.next(exchange).await {
                Ok(Some(bytes)) => all.extend(bytes),
                Ok(None) => return (all, Ok(())),
                Err(error) => return (all, Err(error)),
            }
        }
    }
}

pub fn metered(exchange: &Seen) -> Vec<u8> {
    exchange
        .metered(|witness| witness.0.clone())
        .unwrap_or_default()
}

pub fn header<'a>(exchange: &'a Seen, name: &str) -> Option<&'a str> {
    let headers = &exchange.head().unwrap().headers;
    headers
        .iter()
        .find(|(key, _)| key == name)
        .map(|(_, value)| value.as_str())
}

/// Watches the bell until nobody cares.
fn listen(completions: &Completions, heard: &Mutex<HashSet<u64>>, ring: &watch::Sender<()>) {
    let patience = Timespec {
        tv_sec: 0,
        tv_nsec: 200_000_000,
    };
    while !ring.is_closed() {
        let mut bells = [PollFd::new(completions, PollFlags::IN)];
        if poll(&mut bells, Some(&patience)).unwrap() > 0 {
            heard.lock().unwrap().extend(completions.drain());
            ring.send_replace(());
        }
    }
}
