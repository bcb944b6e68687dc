//! All tokens, for the administrator.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use grantor::limiter::{Attempt, AttemptKind, AttemptLimiter as _, MemoryAttemptLimiter};
use grantor::store::GrantQuery;
use grantor::{Clock as _, SystemClock, Timestamp};
use minijinja::context;
use serde_json::json;

use super::super::Page;
use super::super::config::Admin;
use super::form::{Form, same};
use super::grants::date;
use super::html::see_other;
use super::session::random;
use super::{Incoming, Inner};

/// Who may come in, and what the forms hold that other sites cannot know.
pub(super) struct Office {
    admin: Admin,
    csrf: String,
    attempts: MemoryAttemptLimiter,
}

const SHOWN: usize = 1000;

impl Office {
    pub(super) fn new(admin: Admin) -> Self {
        Self { admin, csrf: random().unwrap_or_default(), attempts: MemoryAttemptLimiter::new() }
    }

    fn admits(&self, credentials: Option<(String, String)>) -> bool {
        let Some((username, password)) = credentials else { return false };
        same(&username, &self.admin.username) && same(&password, self.admin.password.expose())
    }
}

impl Inner {
    pub(super) async fn administrate(&self, request: &Incoming<'_>) -> Page {
        let Some(office) = &self.admin else { return Page::not_found() };
        if let Some(page) = self.keep_out(office, request).await {
            return page;
        }
        let id = request.path.strip_prefix("/admin/tokens").and_then(|rest| rest.strip_prefix('/'));
        match (request.method, id) {
            ("GET", None) => self.list_tokens(request, office).await,
            ("DELETE", Some(id)) => self.delete_token(id).await,
            ("POST", None) => {
                let form = Form::read(request);
                let field = |name| form.as_ref().and_then(|form| form.get(name)).unwrap_or_default();
                if office.csrf.is_empty() || !same(field("csrf"), &office.csrf) {
                    return self.error_page(400, "That did not work", "Please go back and try again.");
                }
                let deleted = self.delete_token(field("id")).await;
                if deleted.status < 500 { see_other("/admin/tokens") } else { deleted }
            }
            (_, None) => Page::method_not_allowed("GET, POST"),
            (_, Some(_)) => Page::method_not_allowed("DELETE"),
        }
    }

    async fn keep_out(&self, office: &Office, request: &Incoming<'_>) -> Option<Page> {
        let challenge = || {
            Page::refusal(401, "unauthorized", "Please sign in as the administrator.")
                .with("www-authenticate", "Basic realm=\"admin\", charset=\"UTF-8\"")
        };
        let credentials = request.header("authorization").and_then(read_basic);
        if credentials.is_none() {
            return Some(challenge());
        }
        let name = "admin";
        let (peer, now) = (Some(self.peer(request)), SystemClock.now());
        let attempt = Attempt::new(AttemptKind::Password, name, peer, now);
        if let Err(too_many) = office.attempts.begin(&attempt).await {
            let seconds = too_many.retry_after.as_secs().max(1).to_string();
            let page = Page::refusal(429, "temporarily_unavailable", "There were too many attempts.");
            return Some(page.with("retry-after", seconds));
        }
        if !office.admits(credentials) {
            return Some(challenge());
        }
        office.attempts.forgive(&attempt).await;
        None
    }

    async fn list_tokens(&self, request: &Incoming<'_>, office: &Office) -> Page {
        let Ok(page) = self.server.grants(&GrantQuery::new().limit(SHOWN)).await else {
            return Page::refusal(503, "temporarily_unavailable", "The store does not answer.");
        };
        let secs = |moment: Timestamp| moment.as_millis() / 1000;
        if request.header("accept").is_some_and(|accept| accept.contains("application/json")) {
            let rows = page.grants.iter().map(|grant| {
                let mut row = json!({
                    "id": grant.id().to_string(),
                    "client_id": grant.client().as_str(),
                    "scope": grant.scope().as_str(),
                    "created_at": secs(grant.began_at()),
                });
                let mut put = |name: &str, value: Option<serde_json::Value>| {
                    if let (Some(row), Some(value)) = (row.as_object_mut(), value) {
                        row.insert(name.to_owned(), value);
                    }
                };
                put("subject", grant.subject().map(|subject| subject.as_str().into()));
                put("expires_at", grant.expires_at().map(|end| secs(end).into()));
                put("refreshes_left", grant.refreshes_left().map(Into::into));
                row
            });
            return Page::json(200, &rows.collect::<Vec<_>>().into());
        }
        let rows: Vec<_> = page
            .grants
            .iter()
            .map(|grant| {
                context! {
                    id => grant.id().to_string(),
                    client => grant.client().as_str(),
                    subject => grant.subject().map(grantor::Subject::as_str),
                    scope => grant.scope().as_str(),
                    since => date(grant.began_at()),
                    until => grant.expires_at().map(date),
                    left => grant.refreshes_left(),
                }
            })
            .collect();
        let more = page.next.is_some();
        self.render(200, "admin.html", context! { title => "Tokens", csrf => &office.csrf, rows, more })
    }

    async fn delete_token(&self, id: &str) -> Page {
        let Ok(id) = id.parse() else { return Page::refusal(404, "not_found", "There is no such token.") };
        match self.server.revoke_grant(id).await {
            Ok(true) => Page { status: 204, headers: Vec::new(), body: Vec::new() },
            Ok(false) => Page::refusal(404, "not_found", "There is no such token."),
            Err(error) => {
                let wire = error.wire();
                Page::refusal(wire.status, wire.error, wire.description)
            }
        }
    }
}

fn read_basic(header: &str) -> Option<(String, String)> {
    let (scheme, payload) = header.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let text = String::from_utf8(STANDARD.decode(payload.trim()).ok()?).ok()?;
    let (username, password) = text.split_once(':')?;
    Some((username.to_owned(), password.to_owned()))
}
