//! The authorization endpoint: who asks for what, and what the user says to it.

use grantor::http::Reply;
use grantor::store::GrantQuery;
use grantor::{
    AuthorizationRefused, AuthorizationRequest, ConsentDecision, ConsentRequest, Error, Scope, ScopeToken,
    Subject,
};
use minijinja::context;

use super::super::Page;
use super::form::Form;
use super::session::{COOKIE, Session};
use super::{Incoming, Inner};

impl Inner {
    pub(super) async fn authorize(&self, request: &Incoming<'_>) -> Page {
        let form = if request.method == "POST" { Form::read(request) } else { None };
        if let Some(ticket) = form.as_ref().and_then(|form| form.get("ticket")) {
            return self.decide(request, form.as_ref(), ticket).await;
        }
        let query = if request.method == "POST" {
            std::str::from_utf8(request.body).unwrap_or_default()
        } else {
            request.query.unwrap_or_default()
        };
        let asked = match AuthorizationRequest::from_query(query) {
            Ok(asked) => asked,
            Err(error) => return self.refused_page(&error),
        };
        let session = self.session(request);
        // Nobody else knows the cookie. Without one, nothing is decided.
        let binding = request.cookie(COOKIE).filter(|_| session.is_some()).unwrap_or_default();
        let consent = match self.server.authorize(&asked, binding.as_bytes()).await {
            Ok(consent) => consent,
            Err(refused) => return self.refuse(&refused),
        };
        match session {
            Some(session) => self.ask_for_consent(&session, &consent).await,
            None => self.to_login(&format!("/oauth/authorize?{query}")),
        }
    }

    async fn ask_for_consent(&self, session: &Session, consent: &ConsentRequest) -> Page {
        let before = self.allowed_before(&session.subject, consent).await;
        let described = |token: &str| {
            let known = consent.definitions().iter().find(|own| own.token().as_str() == token);
            known.map_or(token, |own| own.description()).to_owned()
        };
        let scopes: Vec<_> = consent
            .scope()
            .tokens()
            .map(
                |token| context! { token, description => described(token), before => before.contains(token) },
            )
            .collect();
        let client = consent.client();
        let values = context! {
            title => "Allow access",
            client => client.name(),
            description => client.description(),
            host => consent.redirect_host(),
            username => &session.username,
            ticket => consent.ticket(),
            scopes,
        };
        self.render_posting(200, "consent.html", values, &form_target(consent.redirect_uri()))
    }

    /// What this user has let this client do already.
    async fn allowed_before(&self, subject: &Subject, consent: &ConsentRequest) -> Scope {
        let query =
            GrantQuery::new().of_client(consent.client().id().clone()).of_subject(subject.clone()).limit(100);
        let grants = self.server.grants(&query).await.map(|page| page.grants).unwrap_or_default();
        grants.iter().fold(Scope::empty(), |all, grant| all.union(grant.scope()))
    }

    async fn decide(&self, request: &Incoming<'_>, form: Option<&Form<'_>>, ticket: &str) -> Page {
        let (Some(session), Some(form)) = (self.session(request), form) else {
            return self.error_page(
                400,
                "You are not signed in",
                "Please go back to the application and start again.",
            );
        };
        let decision = match form.get("decision") {
            Some("allow") => {
                let tokens = form.all("scope").filter_map(|token| ScopeToken::new(token).ok());
                ConsentDecision::Approve(tokens.collect())
            }
            _ => ConsentDecision::Deny,
        };
        let binding = request.cookie(COOKIE).unwrap_or_default().as_bytes();
        let decided =
            self.server.decide(ticket, binding, &session.subject, session.auth_time, decision).await;
        match decided {
            Ok(response) => Reply::from(&response).into(),
            Err(refused) => self.refuse(&refused),
        }
    }

    fn refuse(&self, refused: &AuthorizationRefused) -> Page {
        match refused {
            AuthorizationRefused::Page { error } => self.refused_page(error),
            AuthorizationRefused::Redirect { response, .. } => Reply::from(response).into(),
        }
    }

    fn refused_page(&self, error: &Error) -> Page {
        let wire = error.wire();
        let status = if wire.status == 401 { 400 } else { wire.status };
        self.error_page(status, "This request cannot go on", wire.description)
    }
}

/// What the challenge of the printed link was made of (RFC 7636, Appendix B).
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";

impl Inner {
    /// In the place of the application of the built-in configuration, which nobody has.
    pub(super) fn callback(&self, request: &Incoming<'_>) -> Page {
        let query = Form::parse(request.query.unwrap_or_default().as_bytes());
        let is_plain =
            |text: &&str| text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._:[]".contains(&byte));
        let host = request.header("host").filter(is_plain).unwrap_or("127.0.0.1");
        let values = context! {
            title => "Back at the application",
            code => query.get("code").filter(is_plain),
            error => query.get("error").filter(is_plain),
            redirect_uri => format!("http://{host}/callback"),
            token_endpoint => format!("http://{host}/oauth/token"),
            verifier => VERIFIER,
        };
        self.render(200, "callback.html", values)
    }
}

/// Where the browser goes after the form: some of them hold redirects to `form-action`, too.
fn form_target(redirect_uri: &str) -> String {
    let Some((scheme, rest)) = redirect_uri.split_once(':') else { return String::new() };
    match rest.strip_prefix("//").filter(|_| matches!(scheme, "http" | "https")) {
        Some(rest) => {
            let authority = rest.split(['/', '?']).next().unwrap_or_default();
            // The policy language has no brackets; the scheme has to do.
            if authority.contains('[') { format!(" {scheme}:") } else { format!(" {scheme}://{authority}") }
        }
        None => format!(" {scheme}:"),
    }
}
