//! An authorization server on `axum`. What does not depend on the framework is in `demo`.
//!
//! `axum::serve` would do, too, and is shorter; it knows no time limit for slow clients.
//!
//! ```sh
//! cargo run --example axum
//! curl -u reports:reports-secret -d grant_type=client_credentials http://127.0.0.1:8080/oauth/token
//! ```

mod demo;
#[path = "demo/tcp.rs"]
mod tcp;

use std::net::SocketAddr;
use std::process::ExitCode;

use axum::Router;
use axum::extract::{ConnectInfo, Request, State};
use axum::response::Response;
use hyper::service::{Service as _, service_fn};
use hyper_util::service::TowerToHyperService;

use demo::{Failure, Flags, Incoming, Page, Site};
use tcp::Unread;

fn main() -> ExitCode {
    demo::main(serve)
}

async fn serve(flags: Flags) -> Result<(), Failure> {
    let services = |site: &Site| {
        let app = Router::new().fallback(answer).with_state(site.clone());
        move |peer: SocketAddr| {
            let app = TowerToHyperService::new(app.clone());
            service_fn(move |mut request: hyper::Request<hyper::body::Incoming>| {
                request.extensions_mut().insert(ConnectInfo(peer));
                app.call(request)
            })
        }
    };
    tcp::serve(flags, services).await
}

/// The adapter: copies the request in and the page out.
async fn answer(
    State(site): State<Site>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    request: Request,
) -> Response {
    let (parts, body) = request.into_parts();
    let mut incoming = Incoming {
        method: parts.method.as_str(),
        path: parts.uri.path(),
        query: parts.uri.query(),
        headers: parts.headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect(),
        body: &[],
        peer: peer.ip(),
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
