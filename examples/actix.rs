//! An authorization server on `actix-web`. What does not depend on the framework is in `demo`.
//!
//! ```sh
//! cargo run --example actix
//! curl -u reports:reports-secret -d grant_type=client_credentials http://127.0.0.1:8080/oauth/token
//! ```

mod demo;

use std::net::{IpAddr, Ipv4Addr, TcpListener};
use std::process::ExitCode;
use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::http::header::CONTENT_LENGTH;
use actix_web::web::{Data, Payload, to};
use actix_web::{App, HttpRequest, HttpResponse, HttpServer};
use tokio::time::timeout;

use demo::{Demo, Failure, Flags, Incoming, Page, Signals, Site};

/// For the head of a request, and again for its body.
const READ_TIMEOUT: Duration = Duration::from_secs(10);
/// For what is in flight when the server is told to stop, in seconds.
const SHUTDOWN_TIMEOUT: u64 = 10;

fn main() -> ExitCode {
    demo::main(serve)
}

async fn serve(flags: Flags) -> Result<(), Failure> {
    let signals = Signals::listen()?;
    let config = flags.load_config()?;
    let listen = |source| Failure::Listen { address: flags.listen, source };
    let listener = TcpListener::bind(flags.listen).map_err(listen)?;
    let address = listener.local_addr()?;
    let demo = Demo::new(config, address).await.map_err(|error| flags.invalid_config(error))?;

    let site = Data::new(demo.site.clone());
    let app = move || App::new().app_data(site.clone()).default_service(to(answer));
    let mut server = HttpServer::new(app)
        .client_request_timeout(READ_TIMEOUT)
        .shutdown_timeout(SHUTDOWN_TIMEOUT)
        .disable_signals();
    if let Some(workers) = flags.workers {
        server = server.workers(workers);
    }
    let server = server.listen(listener).map_err(listen)?.run();
    let handle = server.handle();
    let server = tokio::spawn(server);
    flags.announce(address);
    demo.follow(signals, &flags).await;
    handle.stop(true).await;
    drop(server.await);
    Ok(())
}

/// The adapter: copies the request in and the page out.
async fn answer(site: Data<Site>, request: HttpRequest, body: Payload) -> HttpResponse {
    let mut incoming = Incoming {
        method: request.method().as_str(),
        path: request.path(),
        query: request.uri().query(),
        headers: request.headers().iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect(),
        body: &[],
        peer: request.peer_addr().map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |peer| peer.ip()),
    };
    if announced(&request).is_some_and(|length| length > site.body_limit()) {
        return response(site.body_too_large(&incoming));
    }
    let body = match timeout(READ_TIMEOUT, body.to_bytes_limited(site.body_limit())).await {
        Ok(Ok(Ok(body))) => body,
        Ok(Ok(Err(_))) => return response(Page::body_broken()),
        Ok(Err(_)) => return response(site.body_too_large(&incoming)),
        Err(_) => return response(Page::body_too_slow()),
    };
    incoming.body = &body;
    response(site.answer(&incoming).await)
}

/// The length of the body, as its sender says.
fn announced(request: &HttpRequest) -> Option<usize> {
    request.headers().get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

fn response(page: Page) -> HttpResponse {
    let status = StatusCode::from_u16(page.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = HttpResponse::build(status);
    for (name, value) in page.headers {
        response.append_header((name, value.as_ref()));
    }
    response.body(page.body)
}
