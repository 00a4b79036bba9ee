//! HTTPS, with HTTP/2 where the upstream offers it.

use std::convert::Infallible;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Request, Response};
use hyper::body::{Body, Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use spendra_hot::relay::{Kind, Settings};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use crate::caller::{Caller, metered, quick};

struct Served {
    url: String,
    root: CertificateDer<'static>,
    connections: Arc<AtomicUsize>,
}

impl Served {
    fn caller(&self) -> Caller {
        Caller::new(Settings {
            extra_roots: vec![self.root.clone()],
            ..quick()
        })
    }
}

async fn serve(protocol: &[u8]) -> Served {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let key = PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
    let root = made.cert.der().clone();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![root.clone()], key.into())
        .unwrap();
    config.alpn_protocols = vec![protocol.to_vec()];
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!(
        "https://localhost:{}/",
        listener.local_addr().unwrap().port()
    );
    let connections = Arc::new(AtomicUsize::new(0));
    tokio::spawn(accept(
        listener,
        TlsAcceptor::from(Arc::new(config)),
        Arc::clone(&connections),
    ));
    Served {
        url,
        root,
        connections,
    }
}

async fn accept(listener: TcpListener, tls: TlsAcceptor, connections: Arc<AtomicUsize>) {
    loop {
        let (socket, _) = listener.accept().await.unwrap();
        connections.fetch_add(1, Ordering::SeqCst);
        let tls = tls.clone();
        tokio::spawn(async move {
            let Ok(stream) = tls.accept(socket).await else {
                return;
            };
            let builder = auto::Builder::new(TokioExecutor::new());
            // Callers that reset or refuse are what some tests do.
            let _ = builder
                .serve_connection(TokioIo::new(stream), service_fn(answer))
                .await;
        });
    }
}

async fn answer(request: Request<Incoming>) -> Result<Response<Said>, Infallible> {
    let version = format!("{:?} ", request.version());
    let cut = request.uri().path() == "/cut";
    let pieces = vec![Bytes::from(version), Bytes::from_static(b"data: 1\n\n")];
    let response = Response::builder().header("content-type", "text/event-stream");
    Ok(response.body(Said { pieces, cut }).unwrap())
}

/// Says its pieces; then ends, or fails, which resets the stream.
struct Said {
    pieces: Vec<Bytes>,
    cut: bool,
}

impl Body for Said {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        if self.pieces.is_empty() {
            let failure = Err(io::Error::other("cut"));
            return Poll::Ready(self.cut.then_some(failure));
        }
        Poll::Ready(Some(Ok(Frame::data(self.pieces.remove(0)))))
    }
}

#[tokio::test]
async fn http2_is_spoken_where_it_is_offered_on_one_connection() {
    let served = serve(b"h2").await;
    let caller = served.caller();
    for _ in 0..3 {
        let several: Vec<_> = (0..40).map(|_| caller.get(&served.url)).collect();
        for waiting in several {
            let answer = waiting.await.unwrap();
            let (bytes, end) = caller.rest(&answer).await;
            end.unwrap();
            assert_eq!(bytes, b"HTTP/2.0 data: 1\n\n");
            assert_eq!(metered(&answer), bytes);
        }
    }
    assert_eq!(served.connections.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn http1_is_spoken_over_tls() {
    let served = serve(b"http/1.1").await;
    let caller = served.caller();
    let answer = caller.get(&served.url).await.unwrap();
    assert_eq!(caller.rest(&answer).await.0, b"HTTP/1.1 data: 1\n\n");
}

#[tokio::test]
async fn a_reset_stream_is_cut() {
    let served = serve(b"h2").await;
    let caller = served.caller();
    // A reset that overtakes the head leaves no head.
    let error = match caller.get(&format!("{}cut", served.url)).await {
        Ok(answer) => caller.rest(&answer).await.1.unwrap_err(),
        Err(error) => error,
    };
    assert_eq!(
        (error.kind, error.may_have_left),
        (Kind::Cut, true),
        "{error}"
    );
}

#[tokio::test]
async fn a_certificate_nobody_vouches_for_is_a_connect_error() {
    let served = serve(b"h2").await;
    let error = Caller::new(quick()).get(&served.url).await.err().unwrap();
    assert_eq!(
        (error.kind, error.may_have_left),
        (Kind::Connect, false),
        "{error}"
    );
}
