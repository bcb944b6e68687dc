//! What grantor's examples are compared with on `hyper`: `serve constant|oauth-as ID SECRET SCOPE`.
//! A program of its own, since the other one counts allocations.

#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "it stops at what it does not expect")]

#[path = "../oauth_as/client.rs"]
mod client;

use std::convert::Infallible;
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use oauth_as::http::ServiceBuilder;
use oauth_as::server::{AuthorizationServer, ServerConfig};
use oauth_as::store::MemoryStorage;
use tokio::net::TcpListener;

/// As long as grantor's answer.
const ANSWER: &str = concat!(
    r#"{"access_token":"0123456789012345678901234567890123456789012345678901234567890123","#,
    r#""token_type":"Bearer","expires_in":3600,"scope":"orders.read"}"#
);

type Request = hyper::Request<Incoming>;
type Response = hyper::Response<Full<Bytes>>;

/// Serves until it is told to end; on one thread, as the examples with `--workers 1`.
fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = runtime.worker_threads(1).enable_all().build().unwrap();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["constant", ..] => runtime.block_on(accept(constant)),
        ["oauth-as", id, secret, scope] => {
            let config = ServerConfig::new("https://id.example.com", "https://id.example.com/device");
            let server = Arc::new(AuthorizationServer::new(config, MemoryStorage::new()));
            let client = client::new(id, secret, "https://shop.example.com/signed-in", scope, scope);
            runtime.block_on(server.register_client(client)).unwrap();
            let service = ServiceBuilder::new(server).dangerously_disable_verification_protections().build();
            let service = Arc::new(service.unwrap());
            runtime.block_on(accept(move |request: Request| {
                let service = Arc::clone(&service);
                async move { service.handle(request).await.map(|body| Full::new(body.into_bytes())) }
            }));
        }
        _ => panic!("serve constant|oauth-as ID SECRET SCOPE"),
    }
}

async fn constant(request: Request) -> Response {
    // Read, as every server has to.
    let _ = request.into_body().collect().await;
    hyper::Response::builder()
        .header("content-type", "application/json")
        .header("cache-control", "no-store")
        .header("pragma", "no-cache")
        .body(Full::new(Bytes::from_static(ANSWER.as_bytes())))
        .unwrap()
}

async fn accept<F, B>(answer: impl Fn(Request) -> F + Clone + Send + Sync + 'static)
where
    F: Future<Output = hyper::Response<B>> + Send + 'static,
    B: hyper::body::Body<Data = Bytes, Error: std::error::Error + Send + Sync> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    println!("listening on http://{}", listener.local_addr().unwrap());
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        stream.set_nodelay(true).unwrap();
        let answer = answer.clone();
        tokio::spawn(async move {
            let service = service_fn(|request| {
                let answer = answer(request);
                async move { Ok::<_, Infallible>(answer.await) }
            });
            let _ = http1::Builder::new()
                .timer(TokioTimer::new())
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
    }
}
