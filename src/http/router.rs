//! [`Router`]: which path is which endpoint, and what holds for all of them.

use std::net::IpAddr;
use std::sync::Arc;

use crate::error::{Error, RequestFailure};
use crate::event::Event;
use crate::server::AuthorizationServer;

use super::cors::Origins;
use super::metadata::{self, Metadata};
use super::reply::{Presentation, Reply};
use super::request::{Header, Request};
use super::token::{self, Served};
use super::token_query;

/// Answers the HTTP requests that are meant for the authorization server.
///
/// ```
/// use grantor::http::{Request, Router};
/// # use grantor::store::{MemoryClientStore, MemoryTokenStore};
/// # let server = grantor::AuthorizationServer::builder("https://id.example.com")
/// #     .clients(MemoryClientStore::new()).tokens(MemoryTokenStore::new()).build()?;
///
/// let router = Router::builder(server).build()?;
/// let request = Request::new("GET", "/oauth/token").secure(true);
/// let reply = grantor::testing::block_on(router.handle(&request)).expect("it is one of our paths");
/// assert_eq!((reply.status(), reply.header("allow")), (405, Some("POST")));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Router(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    server: AuthorizationServer,
    options: Options,
    presentation: Presentation,
    metadata: Metadata,
}

#[derive(Clone, Debug)]
struct Options {
    base: String,
    public_url: Option<String>,
    legacy_paths: bool,
    require_https: bool,
    require_post: bool,
    trusted_proxies: Vec<IpAddr>,
    origins: Origins,
    body_limit: usize,
    realm: String,
    error_uri: Option<String>,
}

/// A router with a setting that makes no sense. Names the setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{setting}: {problem}")]
pub struct InvalidRouter {
    setting: &'static str,
    problem: &'static str,
}

impl InvalidRouter {
    /// The name of the setting.
    #[must_use]
    pub fn setting(&self) -> &'static str {
        self.setting
    }
}

/// Builds a [`Router`].
#[derive(Clone, Debug)]
#[must_use]
pub struct RouterBuilder {
    server: AuthorizationServer,
    options: Options,
}

const DEFAULT_BODY_LIMIT: usize = 64 * 1024;

impl Router {
    /// Begins to build a router for `server`.
    pub fn builder(server: AuthorizationServer) -> RouterBuilder {
        let options = Options {
            base: "/oauth".to_owned(),
            public_url: None,
            legacy_paths: false,
            require_https: true,
            require_post: true,
            trusted_proxies: Vec::new(),
            origins: Origins::None,
            body_limit: DEFAULT_BODY_LIMIT,
            realm: "OAuth".to_owned(),
            error_uri: None,
        };
        RouterBuilder { server, options }
    }

    /// The server that answers.
    #[must_use]
    pub fn server(&self) -> &AuthorizationServer {
        &self.0.server
    }

    /// The answer; `None` if the path is none of the authorization server's.
    pub async fn handle(&self, request: &Request<'_>) -> Option<Reply> {
        Some(match self.endpoint(request.path)? {
            Endpoint::Machine(machine) => self.machine(request, machine).await,
            Endpoint::Metadata => self.metadata(request),
        })
    }

    /// How many bytes of a body an adapter should read.
    #[must_use]
    pub fn body_limit(&self) -> usize {
        self.0.options.body_limit
    }

    /// The answer to a request whose body is larger than [`body_limit`](Self::body_limit).
    #[must_use]
    pub fn body_too_large(&self, request: &Request<'_>) -> Reply {
        let error = RequestFailure::BodyTooLarge.into();
        if let Some(Endpoint::Machine(machine)) = self.endpoint(request.path) {
            machine.report(&self.0.server, &error);
        }
        let reply = self.refuse(&error);
        self.0.options.origins.apply(request, reply)
    }

    /// An endpoint that clients talk to without a browser.
    async fn machine(&self, request: &Request<'_>, machine: Machine) -> Reply {
        let Inner { server, options, .. } = &*self.0;
        let post_only = options.require_post || !matches!(machine, Machine::Token(_));
        let methods = if post_only { "POST" } else { "GET, POST" };
        if let Some(reply) = options.origins.preflight(request, methods, "Authorization, Content-Type") {
            return reply;
        }
        let outcome = if let Err(error) = self.admit(request, post_only) {
            machine.report(server, &error);
            Err(error)
        } else {
            machine.answer(server, request, options.peer(request)).await
        };
        let reply = match outcome {
            Ok(reply) => reply,
            Err(error @ Error::InvalidRequest { reason: RequestFailure::Method }) => {
                self.refuse(&error).with("allow", methods)
            }
            Err(error) => self.refuse(&error),
        };
        options.origins.apply(request, reply)
    }

    /// Open to any page: there is nothing in it that is not for everyone.
    fn metadata(&self, request: &Request<'_>) -> Reply {
        const METHODS: &str = "GET, HEAD";
        let Inner { options, metadata, .. } = &*self.0;
        if let Some(reply) = Origins::Any.preflight(request, METHODS, "*") {
            return reply;
        }
        let reply = if !matches!(request.method, "GET" | "HEAD") {
            self.refuse(&RequestFailure::Method.into()).with("allow", METHODS)
        } else if options.require_https && !options.is_secure(request) {
            self.refuse(&RequestFailure::Insecure.into())
        } else {
            Reply::document(&metadata.json)
        };
        Origins::Any.apply(request, reply)
    }

    /// What is checked before anything in the request is looked at.
    fn admit(&self, request: &Request<'_>, post_only: bool) -> Result<(), Error> {
        let options = &self.0.options;
        if request.method != "POST" && (post_only || request.method != "GET") {
            return Err(RequestFailure::Method.into());
        }
        if options.require_https && !options.is_secure(request) {
            return Err(RequestFailure::Insecure.into());
        }
        if request.body.len() > options.body_limit {
            return Err(RequestFailure::BodyTooLarge.into());
        }
        Ok(())
    }

    fn refuse(&self, error: &Error) -> Reply {
        Reply::error(error, &self.0.presentation)
    }

    fn endpoint(&self, path: &str) -> Option<Endpoint> {
        let Inner { options, metadata, .. } = &*self.0;
        let machine = match path.strip_prefix(options.base.as_str()) {
            Some("/token") => Some(Machine::Token(None)),
            Some("/introspect") => Some(Machine::Introspect),
            Some("/revoke") => Some(Machine::Revoke),
            _ => None,
        };
        let legacy = || path.strip_prefix("/invoke/pub.oauth/").filter(|_| options.legacy_paths);
        match machine.or_else(|| legacy_endpoint(legacy()?)) {
            Some(machine) => Some(Endpoint::Machine(machine)),
            None => metadata.is_at(path).then_some(Endpoint::Metadata),
        }
    }
}

enum Endpoint {
    Machine(Machine),
    Metadata,
}

#[derive(Clone, Copy)]
enum Machine {
    Token(Served),
    Introspect,
    Revoke,
}

impl Machine {
    async fn answer(
        self,
        server: &AuthorizationServer,
        request: &Request<'_>,
        peer: Option<IpAddr>,
    ) -> Result<Reply, Error> {
        match self {
            Self::Token(served) => token::token(server, request, peer, served).await,
            Self::Introspect => token_query::introspect(server, request, peer).await,
            Self::Revoke => token_query::revoke(server, request, peer).await,
        }
    }

    /// What is refused before the server sees it is reported all the same.
    fn report(self, server: &AuthorizationServer, error: &Error) {
        match self {
            Self::Token(_) => token::report(server, error),
            Self::Introspect => token_query::report_introspection(server, error),
            Self::Revoke => token_query::report_revocation(server, error),
        }
    }
}

/// The services of webMethods `pub.oauth`. The deprecated ones take their own grants only.
fn legacy_endpoint(service: &str) -> Option<Machine> {
    match service {
        "getToken" => Some(Machine::Token(None)),
        "getAccessToken" => {
            Some(Machine::Token(Some(&["authorization_code", "client_credentials", "password"])))
        }
        "refreshAccessToken" => Some(Machine::Token(Some(&["refresh_token"]))),
        "introspectToken" => Some(Machine::Introspect),
        "revokeToken" => Some(Machine::Revoke),
        _ => None,
    }
}

impl Options {
    fn is_trusted(&self, address: IpAddr) -> bool {
        self.trusted_proxies.contains(&address.to_canonical())
    }

    /// Who sent the request: what the last proxy that is trusted says, or who is connected.
    fn peer(&self, request: &Request<'_>) -> Option<IpAddr> {
        let mut peer = request.peer?;
        let forwarded = request.last(Header::ForwardedFor).and_then(|value| std::str::from_utf8(value).ok());
        // Each proxy appends who it was called by.
        for hop in forwarded.unwrap_or_default().rsplit(',') {
            if !self.is_trusted(peer) {
                break;
            }
            let Ok(before) = hop.trim().parse() else { break };
            peer = before;
        }
        Some(peer)
    }

    /// A trusted proxy is believed about the connection it took; anyone else is not.
    fn is_secure(&self, request: &Request<'_>) -> bool {
        let trusted = request.peer.is_some_and(|peer| self.is_trusted(peer));
        let forwarded = request.last(Header::ForwardedProto).filter(|_| trusted);
        match forwarded {
            // The last element is the one that the proxy itself added.
            Some(value) => {
                let last = value.rsplit(|byte| *byte == b',').next().unwrap_or_default();
                last.trim_ascii().eq_ignore_ascii_case(b"https")
            }
            None => request.secure,
        }
    }

    fn check(&self) -> Result<(), InvalidRouter> {
        let error = |setting, problem| Err(InvalidRouter { setting, problem });
        let is_path = |byte: u8| byte.is_ascii_alphanumeric() || b"/-._~".contains(&byte);
        let base_is_path = self.base.is_empty() || self.base.starts_with('/') && !self.base.ends_with('/');
        if !base_is_path || !self.base.bytes().all(is_path) {
            return error("base_path", "it is not a path such as /oauth");
        }
        let printable = |byte: u8| matches!(byte, 0x20 | 0x21 | 0x23..=0x5b | 0x5d..=0x7e);
        if self.realm.is_empty() || !self.realm.bytes().all(printable) {
            return error("realm", "it is empty or has a quote, a backslash or a control character");
        }
        // RFC 6749 §5.2: a URI reference.
        let in_uri = |byte: u8| byte.is_ascii_graphic() && !b"\"<>\\^`{|}".contains(&byte);
        if self.error_uri.as_ref().is_some_and(|uri| uri.is_empty() || !uri.bytes().all(in_uri)) {
            return error("error_uri", "it is not a URI reference");
        }
        if let Origins::These(origins) = &self.origins
            && !origins.iter().all(|origin| is_origin(origin))
        {
            return error("cors_origins", "one is not an origin such as https://app.example.com");
        }
        let is_url = |url: &str| {
            let rest = url.strip_prefix("https://").or(url.strip_prefix("http://"));
            rest.is_some_and(|rest| !rest.is_empty())
                && !url.ends_with('/')
                && !url.contains(['?', '#'])
                && url.bytes().all(in_uri)
        };
        if self.public_url.as_deref().is_some_and(|url| !is_url(url)) {
            return error(
                "public_url",
                "it is not a URL such as https://id.example.com, without a slash at its end",
            );
        }
        if self.body_limit == 0 {
            return error("body_limit", "it is zero");
        }
        Ok(())
    }
}

fn is_origin(origin: &str) -> bool {
    let host = origin.strip_prefix("https://").or(origin.strip_prefix("http://"));
    host.is_some_and(|host| {
        let allowed =
            |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-._:[]".contains(&byte);
        !host.is_empty() && host.bytes().all(allowed)
    })
}

impl RouterBuilder {
    /// What the paths begin with; `/oauth` unless set: `/oauth/token` and so on.
    pub fn base_path(mut self, base: impl Into<String>) -> Self {
        self.options.base = base.into();
        self
    }

    /// What clients put in front of these paths, such as `https://id.example.com`, for the server's
    /// metadata; the issuer without its path unless set. Needed where a proxy cuts off the
    /// beginning of paths.
    pub fn public_url(mut self, url: impl Into<String>) -> Self {
        self.options.public_url = Some(url.into());
        self
    }

    /// Also answers at the paths of webMethods `pub.oauth`, such as
    /// `/invoke/pub.oauth/getToken`. Off unless set.
    pub fn legacy_paths(mut self, on: bool) -> Self {
        self.options.legacy_paths = on;
        self
    }

    /// Refuses what does not come over TLS. On unless set; turn it off for tests on
    /// loopback.
    pub fn require_https(mut self, require: bool) -> Self {
        self.options.require_https = require;
        self
    }

    /// The addresses of proxies whose `X-Forwarded-Proto` and `X-Forwarded-For` are believed. None
    /// unless set.
    pub fn trusted_proxies(mut self, proxies: impl IntoIterator<Item = IpAddr>) -> Self {
        self.options.trusted_proxies = proxies.into_iter().map(|proxy| proxy.to_canonical()).collect();
        self
    }

    /// The origins whose pages may call the token endpoint, such as
    /// `https://app.example.com`; `*` for any. None unless set.
    pub fn cors_origins<O: Into<String>>(mut self, origins: impl IntoIterator<Item = O>) -> Self {
        let origins: Vec<String> = origins.into_iter().map(Into::into).collect();
        self.options.origins = match origins.as_slice() {
            [] => Origins::None,
            [any] if any == "*" => Origins::Any,
            _ => Origins::These(origins),
        };
        self
    }

    /// How large a body may be, in bytes; 64 KiB unless set.
    pub fn body_limit(mut self, bytes: usize) -> Self {
        self.options.body_limit = bytes;
        self
    }

    /// The realm of `WWW-Authenticate`; `OAuth` unless set.
    pub fn realm(mut self, realm: impl Into<String>) -> Self {
        self.options.realm = realm.into();
        self
    }

    /// A page about errors, sent with each as `error_uri`.
    pub fn error_uri(mut self, uri: impl Into<String>) -> Self {
        self.options.error_uri = Some(uri.into());
        self
    }

    /// Settings that weaken security.
    pub fn dangerous(self) -> DangerousRouterBuilder {
        DangerousRouterBuilder(self)
    }

    /// The router.
    ///
    /// # Errors
    /// When a setting makes no sense; the error names it.
    pub fn build(self) -> Result<Router, InvalidRouter> {
        let Self { server, options } = self;
        options.check()?;
        if !options.require_post {
            server.report(&Event::SecurityWeakened { setting: "require_post" });
        }
        let presentation = Presentation {
            challenge: format!("Basic realm=\"{}\", charset=\"UTF-8\"", options.realm),
            error_uri: options.error_uri.clone(),
        };
        let origin = options.public_url.as_deref().unwrap_or_else(|| metadata::origin(server.issuer()));
        let metadata = Metadata::new(&server, &format!("{origin}{}", options.base));
        Ok(Router(Arc::new(Inner { server, options, presentation, metadata })))
    }
}

/// What weakens security; see [`RouterBuilder::dangerous`].
#[derive(Clone, Debug)]
#[must_use]
pub struct DangerousRouterBuilder(RouterBuilder);

impl DangerousRouterBuilder {
    /// Also takes token requests by `GET`, whose parameters end up in logs and histories.
    /// RFC 6749 §3.2 forbids it.
    pub fn allow_get(mut self) -> RouterBuilder {
        self.0.options.require_post = false;
        self.0
    }
}
