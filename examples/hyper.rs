//! An authorization server on `hyper`. What does not depend on the framework is in `demo`.
//!
//! ```sh
//! cargo run --example hyper
//! curl -u reports:reports-secret -d grant_type=client_credentials http://127.0.0.1:8080/oauth/token
//! ```

mod demo;
#[path = "demo/tcp.rs"]
mod tcp;

use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::process::ExitCode;

use bytes::Bytes;
use http_body_util::Full;
use hyper::service::service_fn;

use demo::{Failure, Flags, Incoming, Page, Site};
use tcp::Unread;

type Response = hyper::Response<Full<Bytes>>;

fn main() -> ExitCode {
    demo::main(serve)
}

async fn serve(flags: Flags) -> Result<(), Failure> {
    let services = |site: &Site| {
        let site = site.clone();
        move |peer: SocketAddr| {
            let site = site.clone();
            service_fn(move |request| {
                let site = site.clone();
                // hyper keeps it in memory of the connection; boxed, it would leave a hole of some KiB
                // among the grants with each request.
                async move { Ok::<_, Infallible>(answer(&site, peer.ip(), request).await) }
            })
        }
    };
    tcp::serve(flags, services).await
}

/// The adapter: copies the request in and the page out.
async fn answer(site: &Site, peer: IpAddr, request: hyper::Request<hyper::body::Incoming>) -> Response {
    let (parts, body) = request.into_parts();
    let mut incoming = Incoming {
        method: parts.method.as_str(),
        path: parts.uri.path(),
        query: parts.uri.query(),
        headers: parts.headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect(),
        body: &[],
        peer,
    };
    let body = match tcp::read(body, site.body_limit()).await {
        Ok(body) => body,
        Err(Unread::TooLarge) => return site.body_too_large(&incoming).into(),
        Err(Unread::TooSlow) => return Page::body_too_slow().into(),
        Err(Unread::Broken) => return Page::body_broken().into(),
    };
    incoming.body = &body;
    site.answer(&incoming).await.into()
}
