//! Connections, for the examples whose HTTP comes from `hyper`: time limits, an orderly end, and
//! bodies that are too large.

use std::convert::Infallible;
use std::error::Error;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::{Body, Incoming};
use hyper::service::{Service, service_fn};
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::time::{sleep, timeout};

use crate::demo::{Demo, Failure, Flags, Signals, Site};

/// For the head of a request, and again for its body.
const READ_TIMEOUT: Duration = Duration::from_secs(10);
/// For what is in flight when the server is told to stop.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(10);
/// Of a body that is too large, for clients that only read once they have sent it.
const MOST_DISCARDED: usize = 32 * 1024 * 1024;

/// Serves each connection with what `services` makes for its peer, until told to stop.
pub(crate) async fn serve<F, S, B>(flags: Flags, services: impl FnOnce(&Site) -> F) -> Result<(), Failure>
where
    F: Fn(SocketAddr) -> S,
    S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible, Future: Send>
        + Send
        + Sync
        + 'static,
    B: Body<Data: Send, Error: Into<Box<dyn Error + Send + Sync>>> + Send + 'static,
{
    let signals = Signals::listen()?;
    let config = flags.load_config()?;
    let listener = TcpListener::bind(flags.listen)
        .await
        .map_err(|source| Failure::Listen { address: flags.listen, source })?;
    let address = listener.local_addr()?;
    let demo = Demo::new(config, address).await.map_err(|error| flags.invalid_config(error))?;
    let connections = GracefulShutdown::new();
    flags.announce(address);

    let new_service = services(&demo.site);
    tokio::select! {
        () = accept(listener, new_service, &connections) => {}
        () = demo.follow(signals, &flags) => {}
    }
    if timeout(SHUTDOWN_TIMEOUT, connections.shutdown()).await.is_err() {
        tracing::warn!("requests that took too long were given up");
    }
    Ok(())
}

async fn accept<S, B>(
    listener: TcpListener,
    new_service: impl Fn(SocketAddr) -> S,
    connections: &GracefulShutdown,
) where
    S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible, Future: Send>
        + Send
        + Sync
        + 'static,
    B: Body<Data: Send, Error: Into<Box<dyn Error + Send + Sync>>> + Send + 'static,
{
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                tokio::spawn(converse(stream, new_service(peer), connections.watcher()));
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
async fn converse<S, B>(stream: TcpStream, service: S, connections: Watcher)
where
    S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible, Future: Send>
        + Send
        + Sync
        + 'static,
    B: Body<Data: Send, Error: Into<Box<dyn Error + Send + Sync>>> + Send + 'static,
{
    // Answers are small: waiting for more of them would only delay them.
    let _ = stream.set_nodelay(true);
    let begun = Arc::new(Notify::new());
    let service = service_fn(|request| {
        begun.notify_one();
        service.call(request)
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

/// Why there is no body.
pub(crate) enum Unread {
    TooLarge,
    TooSlow,
    Broken,
}

/// The whole body.
pub(crate) async fn read<B>(mut body: B, limit: usize) -> Result<Bytes, Unread>
where
    B: Body<Data = Bytes, Error: Into<Box<dyn Error + Send + Sync>>> + Unpin + Send + 'static,
{
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
async fn discard<B: Body<Data = Bytes> + Unpin>(mut body: B) {
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
