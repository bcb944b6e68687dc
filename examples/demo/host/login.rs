//! Logging in and out.

use grantor::{Error, Password};
use minijinja::context;

use super::super::Page;
use super::form::{Form, same};
use super::html::see_other;
use super::session::{COOKIE, random, set_cookie};
use super::{Incoming, Inner};

/// A form of another site cannot know what is in it.
const LOGIN_COOKIE: &str = "login";
const AFTER_LOGIN: &str = "/grants";

impl Inner {
    /// To the login form, and from there back to what was asked for.
    pub(super) fn to_login(&self, next: &str) -> Page {
        let query = form_urlencoded::Serializer::new(String::new()).append_pair("next", next).finish();
        see_other(&format!("/login?{query}"))
    }

    pub(super) fn login_form(&self, request: &Incoming<'_>) -> Page {
        let query = Form::parse(request.query.unwrap_or_default().as_bytes());
        let next = local(query.get("next"));
        if self.session(request).is_some() {
            return see_other(next);
        }
        self.ask(request, 200, next, "", "")
    }

    /// The form, and a cookie that it has to come back with.
    fn ask(&self, request: &Incoming<'_>, status: u16, next: &str, username: &str, problem: &str) -> Page {
        let known = request.cookie(LOGIN_COOKIE).filter(|cookie| cookie.len() == 43).map(str::to_owned);
        let Some(token) = known.or_else(random) else {
            return self.error_page(500, "Something went wrong", "Please try again.");
        };
        let page = self.render(
            status,
            "login.html",
            context! { title => "Sign in", next, username_entered => username, problem, token => &token },
        );
        page.with("set-cookie", set_cookie(LOGIN_COOKIE, &token, self.is_secure(request)))
    }

    pub(super) async fn log_in(&self, request: &Incoming<'_>) -> Page {
        let Some(form) = Form::read(request) else {
            return self.error_page(400, "That did not work", "This is not a form of ours.");
        };
        let next = local(form.get("next"));
        let cookie = request.cookie(LOGIN_COOKIE).unwrap_or_default();
        let token = form.get("token").unwrap_or_default();
        let username = form.get("username").unwrap_or_default();
        if cookie.is_empty() || !same(cookie, token) {
            return self.ask(request, 400, next, username, "Please try again; cookies have to be allowed.");
        }
        let password = Password::new(form.get("password").unwrap_or_default());
        let problem = match self.server.log_in(username, &password, Some(self.peer(request))).await {
            Ok(user) => {
                return match self.sessions.begin(user.subject().clone(), user.username()) {
                    Some(session) => self.welcome(request, next, &session),
                    None => self.error_page(500, "Something went wrong", "Please try again."),
                };
            }
            Err(problem) => problem,
        };
        let wire = problem.wire();
        let (status, text) = match problem {
            Error::InvalidGrant { .. } => (400, "The user name or the password is wrong."),
            Error::Unavailable { .. } if wire.status == 429 => {
                (429, "That was wrong too often. Please wait a little.")
            }
            _ => (wire.status, "We cannot check this right now. Please try again."),
        };
        let page = self.ask(request, status, next, username, text);
        match wire.retry_after {
            Some(seconds) => page.with("retry-after", seconds.to_string()),
            None => page,
        }
    }

    fn welcome(&self, request: &Incoming<'_>, next: &str, session: &str) -> Page {
        let secure = self.is_secure(request);
        if let Some(before) = request.cookie(COOKIE) {
            self.sessions.end(before);
        }
        see_other(next)
            .with("set-cookie", set_cookie(COOKIE, session, secure))
            .with("set-cookie", set_cookie(LOGIN_COOKIE, "", secure))
    }

    pub(super) fn logout_form(&self, request: &Incoming<'_>) -> Page {
        match self.session(request) {
            Some(session) => {
                let values =
                    context! { title => "Sign out", username => session.username, csrf => session.csrf };
                self.render(200, "logout.html", values)
            }
            None => see_other("/login"),
        }
    }

    pub(super) fn log_out(&self, request: &Incoming<'_>) -> Page {
        let Some(session) = self.session(request) else { return see_other("/login") };
        let form = Form::read(request);
        let token = form.as_ref().and_then(|form| form.get("csrf")).unwrap_or_default();
        if !same(token, &session.csrf) {
            return self.error_page(400, "That did not work", "Please go back and try again.");
        }
        if let Some(cookie) = request.cookie(COOKIE) {
            self.sessions.end(cookie);
        }
        see_other("/login").with("set-cookie", set_cookie(COOKIE, "", self.is_secure(request)))
    }

    pub(super) fn front(&self, request: &Incoming<'_>) -> Page {
        let username = self.session(request).map(|session| session.username);
        self.render(200, "front.html", context! { title => "Order book", username })
    }
}

/// A path of this host, and of no other.
fn local(next: Option<&str>) -> &str {
    let is_ours = |next: &&str| {
        next.starts_with('/')
            && !next.starts_with("//")
            && next.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\')
    };
    next.filter(is_ours).unwrap_or(AFTER_LOGIN)
}
