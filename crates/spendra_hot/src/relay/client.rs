//! The client: a pool of HTTP/1.1 and HTTP/2 connections, over TLS and plain.

use std::error::Error;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::Uri;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder, MaybeHttpsStream};
use hyper_util::client::legacy::{Client, connect::HttpConnector};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use rustls::pki_types::CertificateDer;
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tower_service::Service;

use super::sent::Sent;

/// Shorter than the keep-alive of the usual load balancers, so that we close first.
const POOL_IDLE_TIMEOUT: Duration = Duration::from_secs(45);
/// Also the longest response head; hyper's own 400 KiB would be held by every slow stream.
const HTTP1_BUFFER_BYTES: usize = 64 * 1024;
const HTTP2_STREAM_WINDOW_BYTES: u32 = 256 * 1024;
/// Room for many streams whose callers read slowly, so that they do not stop the others.
const HTTP2_CONNECTION_WINDOW_BYTES: u32 = 128 * 1024 * 1024;

type BoxError = Box<dyn Error + Send + Sync>;
pub(super) type Upstreams = Client<Dialer, Sent>;

#[derive(Clone, Debug)]
pub struct Settings {
    /// For name resolution, TCP and TLS together.
    pub connect_timeout: Duration,
    /// From the start of the request to its response's head.
    pub first_byte_timeout: Duration,
    /// Between two pieces of a body.
    pub idle_timeout: Duration,
    pub max_idle_per_host: usize,
    /// Trusted besides the public roots.
    pub extra_roots: Vec<CertificateDer<'static>>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(5),
            first_byte_timeout: Duration::from_secs(600),
            idle_timeout: Duration::from_secs(300),
            max_idle_per_host: 256,
            extra_roots: Vec::new(),
        }
    }
}

/// hyper-util sends a request again only when a reused connection hands it back unsent (hyper:
/// `TrySendError::take_message`, filled only for a request still in the connection's queue). A
/// connection the upstream closed while idle thus costs a reconnect, and no request is sent twice.
pub(super) fn build(settings: &Settings) -> Result<Upstreams, rustls::Error> {
    let dialer = Dialer {
        connector: connector(tls(&settings.extra_roots)?),
        timeout: settings.connect_timeout,
    };
    let client = Client::builder(TokioExecutor::new())
        .timer(TokioTimer::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(POOL_IDLE_TIMEOUT)
        .pool_max_idle_per_host(settings.max_idle_per_host)
        .retry_canceled_requests(true)
        .http1_max_buf_size(HTTP1_BUFFER_BYTES)
        .http2_initial_stream_window_size(HTTP2_STREAM_WINDOW_BYTES)
        .http2_initial_connection_window_size(HTTP2_CONNECTION_WINDOW_BYTES)
        .build(dialer);
    Ok(client)
}

fn tls(extra_roots: &[CertificateDer<'static>]) -> Result<ClientConfig, rustls::Error> {
    let mut roots = RootCertStore {
        roots: webpki_roots::TLS_SERVER_ROOTS.to_vec(),
    };
    for root in extra_roots {
        roots.add(root.clone())?;
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(config)
}

fn connector(tls: ClientConfig) -> HttpsConnector<HttpConnector> {
    let mut tcp = HttpConnector::new();
    tcp.set_nodelay(true);
    tcp.enforce_http(false);
    HttpsConnectorBuilder::new()
        .with_tls_config(tls)
        .https_or_http()
        .enable_http1()
        .enable_http2()
        .wrap_connector(tcp)
}

/// Connects within a time limit.
#[derive(Clone)]
pub(super) struct Dialer {
    connector: HttpsConnector<HttpConnector>,
    timeout: Duration,
}

impl Service<Uri> for Dialer {
    type Response = MaybeHttpsStream<TokioIo<TcpStream>>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.connector.poll_ready(cx)
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let connecting = self.connector.call(uri);
        let timeout = self.timeout;
        Box::pin(async move {
            let late = |_| BoxError::from("no connection in time");
            tokio::time::timeout(timeout, connecting)
                .await
                .map_err(late)?
        })
    }
}
