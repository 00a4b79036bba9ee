//! What the relay's thread does for one exchange, from the request to the body's last byte.

use std::sync::Arc;

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderMap};
use http::{Request, Response};
use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};
use hyper_util::client::legacy::connect::capture_connection;
use tokio::time::timeout;

use super::client::{Settings, Upstreams};
use super::decode::Coding;
use super::error::{Kind, UpstreamError};
use super::exchange::{Head, Shared};
use super::headers::{strip_hop_by_hop, texts};
use super::plug::{Beside, Plugs, Shape};
use super::sent::Sent;
use super::tap::{Sieve, Tap};

pub(super) struct Errand<M> {
    pub(super) client: Upstreams,
    pub(super) settings: Arc<Settings>,
    pub(super) request: Request<Sent>,
    pub(super) plugs: Plugs<M>,
    pub(super) buffer_limit: usize,
}

pub(super) async fn carry<M: Beside>(errand: Errand<M>, shared: Arc<Shared<M>>) {
    let end = relay(errand, &shared).await;
    shared.finish(end);
}

async fn relay<M: Beside>(errand: Errand<M>, shared: &Shared<M>) -> Result<(), UpstreamError> {
    let response = ask(&errand.client, errand.request, &errand.settings).await?;
    let (parts, body) = response.into_parts();
    let is_stream = errand.plugs.streamed && parts.status.is_success();
    let shape = if is_stream {
        Shape::Stream
    } else {
        shape(&parts.headers)
    };
    let coding = Coding::of(&parts.headers);
    shared.plug(Tap::new((errand.plugs.meter)(shape), coding));
    let filtered = shape == Shape::Stream && coding == Coding::Identity;
    let sieve = Sieve(errand.plugs.filter.filter(|_| filtered));
    let head = head(parts.status.as_u16(), parts.headers, &sieve);
    let mut intake = Intake {
        body,
        sieve,
        shared,
        settings: &errand.settings,
    };
    if shape == Shape::Whole && intake.may_fit(errand.buffer_limit) {
        intake.collect(head, errand.buffer_limit).await
    } else {
        shared.publish(head);
        intake.stream().await
    }
}

async fn ask(
    client: &Upstreams,
    mut request: Request<Sent>,
    settings: &Settings,
) -> Result<Response<Incoming>, UpstreamError> {
    let connection = capture_connection(&mut request);
    match timeout(settings.first_byte_timeout, client.request(request)).await {
        Ok(Ok(response)) => Ok(response),
        Ok(Err(error)) => Err(UpstreamError::of_request(&error)),
        Err(_) if connection.connection_metadata().is_none() => Err(UpstreamError::unsent(
            Kind::Connect,
            "no connection in time",
        )),
        Err(_) => Err(UpstreamError::sent(
            Kind::FirstByteTimeout,
            "no response head in time",
        )),
    }
}

fn head(status: u16, mut headers: HeaderMap, sieve: &Sieve) -> Head {
    strip_hop_by_hop(&mut headers);
    if sieve.0.is_some() {
        headers.remove(CONTENT_LENGTH);
    }
    Head {
        status,
        headers: texts(&headers),
        body: None,
    }
}

fn shape(headers: &HeaderMap) -> Shape {
    let content_type = headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    let essence = content_type
        .unwrap_or("")
        .split(';')
        .next()
        .unwrap_or("")
        .trim();
    let streams = [
        "text/event-stream",
        "application/stream+json",
        "application/x-ndjson",
    ];
    let is_stream = streams
        .iter()
        .any(|stream| essence.eq_ignore_ascii_case(stream));
    if is_stream {
        Shape::Stream
    } else {
        Shape::Whole
    }
}

/// The body on its way in.
struct Intake<'a, M> {
    body: Incoming,
    sieve: Sieve,
    shared: &'a Shared<M>,
    settings: &'a Settings,
}

impl<M: Beside> Intake<'_, M> {
    fn may_fit(&self, limit: usize) -> bool {
        usize::try_from(self.body.size_hint().lower()).is_ok_and(|least| least <= limit)
    }

    /// Tells the caller once, with head and body; or at the limit, and streams the rest.
    async fn collect(&mut self, mut head: Head, limit: usize) -> Result<(), UpstreamError> {
        let mut collected: usize = 0;
        while let Some(chunk) = self.chunk().await? {
            collected = collected.saturating_add(chunk.len());
            self.pass(chunk);
            if collected > limit {
                self.shared.publish(head);
                return self.stream().await;
            }
        }
        head.body = Some(self.shared.pipe.take_whole());
        // Ended before it is told, so that a caller that asks for more learns there is none.
        let _ = self.shared.pipe.finish(Ok(()));
        self.shared.publish(head);
        Ok(())
    }

    async fn stream(&mut self) -> Result<(), UpstreamError> {
        let end = self.pump().await;
        self.shared.push(self.sieve.rest());
        end
    }

    async fn pump(&mut self) -> Result<(), UpstreamError> {
        loop {
            self.shared.pipe.room().await;
            match self.chunk().await? {
                Some(chunk) => self.pass(chunk),
                None => return Ok(()),
            }
        }
    }

    fn pass(&mut self, chunk: Bytes) {
        self.shared.meter(&chunk);
        self.shared.push(self.sieve.pass(chunk));
    }

    /// The next data; trailers are skipped.
    async fn chunk(&mut self) -> Result<Option<Bytes>, UpstreamError> {
        let late = |_| UpstreamError::sent(Kind::IdleTimeout, "the body stopped coming");
        loop {
            let frame = timeout(self.settings.idle_timeout, self.body.frame()).await;
            match frame.map_err(late)? {
                None => return Ok(None),
                Some(Err(error)) => return Err(UpstreamError::of_body(&error)),
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        return Ok(Some(data));
                    }
                }
            }
        }
    }
}
