//! An authorization server on `axum`. What does not depend on the framework is in `demo`.
//!
//! ```sh
//! cargo run --example axum
//! curl -u reports:reports-secret -d grant_type=client_credentials http://127.0.0.1:8080/oauth/token
//! ```

mod demo;

use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use axum::body::to_bytes;
use axum::extract::{ConnectInfo, Request, State};
use axum::response::Response;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::time::timeout;

use demo::{Demo, Failure, Flags, Incoming, Page, Signals, Site};

/// For the body of a request.
const READ_TIMEOUT: Duration = Duration::from_secs(10);
/// For what is in flight when the server is told to stop.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(10);

fn main() -> ExitCode {
    demo::main(serve)
}

async fn serve(flags: Flags) -> Result<(), Failure> {
    let signals = Signals::listen()?;
    let config = flags.load_config()?;
    let listener = TcpListener::bind(flags.listen)
        .await
        .map_err(|source| Failure::Listen { address: flags.listen, source })?;
    let address = listener.local_addr()?;
    let demo = Demo::new(config, address).await.map_err(|error| flags.invalid_config(error))?;
    flags.announce(address);

    let app = axum::Router::new().fallback(answer).with_state(demo.site.clone());
    let app = app.into_make_service_with_connect_info::<SocketAddr>();
    let (stop, stopped) = oneshot::channel::<()>();
    let server = axum::serve(listener, app).with_graceful_shutdown(async { drop(stopped.await) });
    let server = tokio::spawn(server.into_future());
    demo.follow(signals, &flags).await;
    drop(stop);
    if timeout(SHUTDOWN_TIMEOUT, server).await.is_err() {
        tracing::warn!("requests that took too long were given up");
    }
    Ok(())
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
    let body = match timeout(READ_TIMEOUT, to_bytes(body, site.body_limit())).await {
        Ok(Ok(body)) => body,
        Ok(Err(error)) if is_too_large(&error) => return site.body_too_large(&incoming).into(),
        Ok(Err(_)) => return Page::body_broken().into(),
        Err(_) => return Page::body_too_slow().into(),
    };
    incoming.body = &body;
    site.answer(&incoming).await.into()
}

fn is_too_large(error: &axum::Error) -> bool {
    std::error::Error::source(error)
        .is_some_and(<dyn std::error::Error>::is::<http_body_util::LengthLimitError>)
}
