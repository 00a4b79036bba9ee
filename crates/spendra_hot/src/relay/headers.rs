//! What a proxy may pass on, and the request made of it.

use http::header::{
    CONNECTION, CONTENT_LENGTH, EXPECT, HOST, HeaderMap, HeaderName, HeaderValue, TE, TRAILER,
    TRANSFER_ENCODING, UPGRADE,
};
use http::uri::Scheme;
use http::{Method, Request, Uri};

use super::error::Unusable;
use super::sent::{Body, Sent};

/// A request to an upstream. Headers are as the caller gave them; the relay drops hop-by-hop ones.
#[derive(Clone, Copy, Debug)]
pub struct Outbound<'a> {
    pub method: &'a str,
    /// Absolute, `http` or `https`.
    pub url: &'a str,
    pub headers: &'a [(String, String)],
}

impl Outbound<'_> {
    pub(super) fn into_request(self, body: Body) -> Result<Request<Sent>, Unusable> {
        let length = body.length();
        let mut request = Request::new(body.into_sent());
        *request.method_mut() = Method::from_bytes(self.method.as_bytes())
            .map_err(|_| Unusable(format!("method {:?} is not an HTTP method", self.method)))?;
        *request.uri_mut() = absolute(self.url)?;
        *request.headers_mut() = parse(self.headers)?;
        strip_request(request.headers_mut());
        if let Some(length) = length {
            request.headers_mut().insert(CONTENT_LENGTH, length.into());
        }
        Ok(request)
    }
}

fn absolute(url: &str) -> Result<Uri, Unusable> {
    let uri: Uri = url
        .parse()
        .map_err(|e| Unusable(format!("url {url:?}: {e}")))?;
    let known = [Some(&Scheme::HTTP), Some(&Scheme::HTTPS)].contains(&uri.scheme());
    if known && uri.host().is_some_and(|host| !host.is_empty()) {
        return Ok(uri);
    }
    Err(Unusable(format!(
        "url {url:?} is not an absolute http or https URL"
    )))
}

fn parse(pairs: &[(String, String)]) -> Result<HeaderMap, Unusable> {
    let mut map = HeaderMap::with_capacity(pairs.len());
    for (name, value) in pairs {
        let bad = |what: &str| Unusable(format!("header {name:?}: {what}"));
        let key = HeaderName::from_bytes(name.as_bytes()).map_err(|_| bad("bad name"))?;
        // The value may be a credential: it is not in the message.
        let value = HeaderValue::from_str(value)
            .or_else(|_| HeaderValue::from_bytes(value.as_bytes()))
            .map_err(|_| bad("bad value"))?;
        map.append(key, value);
    }
    Ok(map)
}

/// Host and length are written by the client from the URL and the body.
fn strip_request(headers: &mut HeaderMap) {
    strip_hop_by_hop(headers);
    for name in [HOST, CONTENT_LENGTH, EXPECT] {
        headers.remove(name);
    }
}

/// RFC 9110, section 7.6.1: these belong to one connection.
pub(super) fn strip_hop_by_hop(headers: &mut HeaderMap) {
    for name in named_by_connection(headers) {
        headers.remove(name);
    }
    for name in [CONNECTION, TRANSFER_ENCODING, TE, TRAILER, UPGRADE] {
        headers.remove(name);
    }
    headers.remove("keep-alive");
    for name in proxy_headers(headers) {
        headers.remove(name);
    }
}

fn named_by_connection(headers: &HeaderMap) -> Vec<HeaderName> {
    headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| HeaderName::from_bytes(name.trim().as_bytes()).ok())
        .collect()
}

fn proxy_headers(headers: &HeaderMap) -> Vec<HeaderName> {
    let is_proxy = |name: &&HeaderName| name.as_str().starts_with("proxy-");
    headers.keys().filter(is_proxy).cloned().collect()
}

/// Names in lowercase; values as UTF-8, or as Latin-1 where they are not.
pub(super) fn texts(headers: &HeaderMap) -> Vec<(String, String)> {
    let text = |(name, value): (&HeaderName, &HeaderValue)| {
        (name.as_str().to_owned(), value_text(value.as_bytes()))
    };
    headers.iter().map(text).collect()
}

fn value_text(value: &[u8]) -> String {
    match std::str::from_utf8(value) {
        Ok(text) => text.to_owned(),
        Err(_) => value.iter().copied().map(char::from).collect(),
    }
}
