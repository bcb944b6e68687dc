//! What a host brings along: login, consent, the pages around them, and a small protected API.
//! Everything that is asked of a server comes through [`Site::answer`].

mod admin;
mod authorize;
mod form;
mod grants;
mod html;
mod login;
mod orders;
mod session;

use std::net::IpAddr;
use std::sync::Arc;

use grantor::AuthorizationServer;
use grantor::http::{Request, Router};
use grantor::resource::ResourceGuard;

use super::Page;
use super::config::Config;
use super::stores::ClientNames;
use html::Pages;
use orders::Orders;
use session::{Session, Sessions};

/// A request, with its body read, as any framework can hand it in.
pub(crate) struct Incoming<'a> {
    pub(crate) method: &'a str,
    pub(crate) path: &'a str,
    /// Without its `?`.
    pub(crate) query: Option<&'a str>,
    pub(crate) headers: Vec<(&'a str, &'a [u8])>,
    pub(crate) body: &'a [u8],
    pub(crate) peer: IpAddr,
}

/// The authorization server and its host.
#[derive(Clone)]
pub(crate) struct Site(Arc<Inner>);

struct Inner {
    router: Router,
    server: AuthorizationServer,
    guard: ResourceGuard<AuthorizationServer>,
    clients: ClientNames,
    admin: Option<admin::Office>,
    proxies: Vec<IpAddr>,
    is_built_in: bool,
    sessions: Sessions,
    pages: Pages,
    orders: Orders,
}

impl Site {
    pub(crate) fn new(router: Router, clients: ClientNames, config: &Config) -> Self {
        let server = router.server().clone();
        let guard = ResourceGuard::builder(server.clone()).scopes(server.scopes()).realm("orders").build();
        Self(Arc::new(Inner {
            router,
            server,
            guard,
            clients,
            admin: config.admin.clone().map(admin::Office::new),
            proxies: config.settings.http.proxies(),
            is_built_in: config.is_built_in,
            sessions: Sessions::new(),
            pages: Pages::new(),
            orders: Orders::new(),
        }))
    }

    /// How many bytes of a body to read.
    pub(crate) fn body_limit(&self) -> usize {
        self.0.router.body_limit()
    }

    pub(crate) fn body_too_large(&self, request: &Incoming<'_>) -> Page {
        self.0.router.body_too_large(&request.for_router()).into()
    }

    pub(crate) async fn answer(&self, request: &Incoming<'_>) -> Page {
        match self.0.router.handle(&request.for_router()).await {
            Some(reply) => reply.into(),
            None => self.0.page(request).await,
        }
    }
}

impl Inner {
    async fn page(&self, request: &Incoming<'_>) -> Page {
        // What is the answer to HEAD is for the framework to cut short.
        let method = if request.method == "HEAD" { "GET" } else { request.method };
        match (request.path, method) {
            ("/healthz", "GET") => Page::health(),
            ("/oauth/authorize" | "/invoke/pub.oauth/authorize", "GET" | "POST") => {
                self.authorize(request).await
            }
            ("/login", "GET") => self.login_form(request),
            ("/login", "POST") => self.log_in(request).await,
            ("/logout", "GET") => self.logout_form(request),
            ("/logout", "POST") => self.log_out(request),
            ("/grants", "GET") => self.list_grants(request).await,
            ("/grants", "POST") => self.revoke_grant(request).await,
            ("/style.css", "GET") => html::style(),
            ("/", "GET") => self.front(request),
            ("/callback", "GET") if self.is_built_in => self.callback(request),
            (path, _) if path == "/admin/tokens" || path.starts_with("/admin/tokens/") => {
                self.administrate(request).await
            }
            (path, _) if path.starts_with("/api/") => self.call_api(request).await,
            ("/oauth/authorize" | "/invoke/pub.oauth/authorize" | "/login" | "/logout" | "/grants", _) => {
                Page::method_not_allowed("GET, POST")
            }
            ("/healthz" | "/style.css" | "/", _) => Page::method_not_allowed("GET"),
            _ => Page::not_found(),
        }
    }

    fn session(&self, request: &Incoming<'_>) -> Option<Session> {
        self.sessions.find(request.cookie(session::COOKIE)?)
    }

    /// Was the browser's own connection encrypted? Cookies are then for such connections only.
    fn is_secure(&self, request: &Incoming<'_>) -> bool {
        let proto = request.header("x-forwarded-proto").unwrap_or_default();
        self.proxies.contains(&request.peer.to_canonical()) && proto.trim().eq_ignore_ascii_case("https")
    }

    /// Who is at the other end, for the limit on attempts.
    fn peer(&self, request: &Incoming<'_>) -> IpAddr {
        let mut peer = request.peer;
        for hop in request.header("x-forwarded-for").unwrap_or_default().rsplit(',') {
            if !self.proxies.contains(&peer.to_canonical()) {
                break;
            }
            let Ok(before) = hop.trim().parse() else { break };
            peer = before;
        }
        peer
    }
}

impl Incoming<'_> {
    fn for_router(&self) -> Request<'_> {
        Request::new(self.method, self.path)
            .query(self.query)
            .headers(self.headers.iter().copied())
            .body(self.body)
            .peer(Some(self.peer))
    }

    /// The last of them: what a proxy adds comes after what clients put in front.
    fn header(&self, name: &str) -> Option<&str> {
        let (_, value) = self.headers.iter().rev().find(|(own, _)| own.eq_ignore_ascii_case(name))?;
        std::str::from_utf8(value).ok()
    }

    fn cookie(&self, name: &str) -> Option<&str> {
        let named = |pair: &'_ str| pair.trim().split_once('=').is_some_and(|(own, _)| own == name);
        let cookies = self.headers.iter().filter(|(own, _)| own.eq_ignore_ascii_case("cookie"));
        let mut pairs = cookies
            .filter_map(|(_, value)| std::str::from_utf8(value).ok())
            .flat_map(|value| value.split(';'));
        pairs.find(|pair| named(pair))?.trim().split_once('=').map(|(_, value)| value)
    }

    /// Where the browser is to come back to after the login.
    fn target(&self) -> String {
        match self.query {
            Some(query) => format!("{}?{query}", self.path),
            None => self.path.to_owned(),
        }
    }
}
