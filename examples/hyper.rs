//! An authorization server on `hyper`. What does not depend on the framework is in `demo`.
//!
//! ```sh
//! cargo run --example hyper
//! curl -u reports:reports-secret -d grant_type=client_credentials http://127.0.0.1:8080/oauth/token
//! ```

mod demo;

use std::convert::Infallible;
use std::net::IpAddr;
use std::pin::pin;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::Body;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::time::{sleep, timeout};

use demo::{Demo, Failure, Flags, Incoming, Page, Signals, Site};

/// For the head of a request, and again for its body.
const READ_TIMEOUT: Duration = Duration::from_secs(10);
/// For what is in flight when the server is told to stop.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(10);
/// Of a body that is too large, for clients that only read once they have sent it.
const MOST_DISCARDED: usize = 32 * 1024 * 1024;

type Response = hyper::Response<Full<Bytes>>;

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
    let connections = GracefulShutdown::new();
    flags.announce(address);

    let site = demo.site.clone();
    tokio::select! {
        () = accept(listener, &site, &connections) => {}
        () = demo.follow(signals, &flags) => {}
    }
    if timeout(SHUTDOWN_TIMEOUT, connections.shutdown()).await.is_err() {
        tracing::warn!("requests that took too long were given up");
    }
    Ok(())
}

async fn accept(listener: TcpListener, site: &Site, connections: &GracefulShutdown) {
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                tokio::spawn(converse(stream, peer.ip(), site.clone(), connections.watcher()));
            }
            Err(error) => {
                // Such as too many open files: connections have to end before the next one.
                tracing::warn!(%error, "a connection was not accepted");
                sleep(Duration::from_millis(50)).await;
            }
        }
    }
}

/// Serves one connection until either side ends it.
async fn converse(stream: TcpStream, peer: IpAddr, site: Site, connections: Watcher) {
    // Answers are small: waiting for more of them would only delay them.
    let _ = stream.set_nodelay(true);
    let begun = Arc::new(Notify::new());
    let service = service_fn(|request| {
        begun.notify_one();
        let site = site.clone();
        // Boxed: hyper moves it about, and there is room for every kind of request in it.
        Box::pin(async move { Ok::<_, Infallible>(answer(&site, peer, request).await) })
    });
    let mut http = auto::Builder::new(TokioExecutor::new());
    // Who has sent all there is to say may close that half and wait for the answer.
    http.http1().timer(TokioTimer::new()).header_read_timeout(READ_TIMEOUT).half_close(true);
    http.http2().timer(TokioTimer::new()).keep_alive_interval(READ_TIMEOUT);
    let connection = http.serve_connection(TokioIo::new(stream), service);
    let mut connection = pin!(connections.watch(connection));
    // hyper's own time-out starts once the version of HTTP is known.
    let silent = async { timeout(READ_TIMEOUT, begun.notified()).await.is_err() };
    let result = tokio::select! {
        result = &mut connection => result,
        silent = silent => if silent { Ok(()) } else { connection.await },
    };
    if let Err(error) = result {
        tracing::debug!(error, "a connection broke");
    }
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
    let body = match read(body, site.body_limit()).await {
        Ok(body) => body,
        Err(Unread::TooLarge) => return site.body_too_large(&incoming).into(),
        Err(Unread::TooSlow) => return Page::body_too_slow().into(),
        Err(Unread::Broken) => return Page::body_broken().into(),
    };
    incoming.body = &body;
    site.answer(&incoming).await.into()
}

enum Unread {
    TooLarge,
    TooSlow,
    Broken,
}

async fn read(mut body: hyper::body::Incoming, limit: usize) -> Result<Bytes, Unread> {
    if body.size_hint().lower() > limit as u64 {
        tokio::spawn(discard(body));
        return Err(Unread::TooLarge);
    }
    match timeout(READ_TIMEOUT, Limited::new(&mut body, limit).collect()).await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => {
            tokio::spawn(discard(body));
            Err(Unread::TooLarge)
        }
        Ok(Err(_)) => Err(Unread::Broken),
        Err(_) => Err(Unread::TooSlow),
    }
}

/// Lets a client finish sending, for a while, without keeping any of it: a connection that
/// is closed on unread data takes the answer with it.
async fn discard(mut body: hyper::body::Incoming) {
    let drain = async {
        let mut left = MOST_DISCARDED;
        while let Some(Ok(frame)) = body.frame().await {
            let length = frame.data_ref().map_or(0, Bytes::len);
            let Some(rest) = left.checked_sub(length) else { return };
            left = rest;
        }
    };
    let _ = timeout(READ_TIMEOUT, drain).await;
}
