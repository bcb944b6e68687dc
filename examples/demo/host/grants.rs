//! The signed-in user's applications.

use grantor::store::GrantQuery;
use grantor::{Error, GrantId, Subject};
use minijinja::context;

use super::super::Page;
use super::form::{Form, same};
use super::html::see_other;
use super::{Incoming, Inner};

/// Longer lists go on, page by page.
const PAGE: usize = 200;

impl Inner {
    pub(super) async fn list_grants(&self, request: &Incoming<'_>) -> Page {
        let Some(session) = self.session(request) else { return self.to_login(&request.target()) };
        let query = GrantQuery::new().of_subject(session.subject.clone()).limit(PAGE);
        let Ok(page) = self.server.grants(&query).await else {
            return self.error_page(503, "We cannot show this right now", "Please try again.");
        };
        let mut rows = Vec::new();
        // What hangs on another grant ends with it.
        for grant in page.grants.iter().filter(|grant| grant.parent().is_none()) {
            let described = |token: &str| {
                let known = self.server.scopes().iter().find(|own| own.token().as_str() == token);
                known.map_or(token, |own| own.description()).to_owned()
            };
            let scopes: Vec<_> = grant.scope().tokens().map(described).collect();
            rows.push(context! {
                id => grant.id().to_string(),
                client => self.clients.name(grant.client()).await,
                scopes,
                since => date(grant.began_at()),
                until => grant.expires_at().map(date),
            });
        }
        let values = context! {
            title => "Your applications",
            username => session.username,
            csrf => session.csrf,
            rows,
        };
        self.render(200, "grants.html", values)
    }

    pub(super) async fn revoke_grant(&self, request: &Incoming<'_>) -> Page {
        let Some(session) = self.session(request) else { return self.to_login("/grants") };
        let form = Form::read(request);
        let field = |name| form.as_ref().and_then(|form| form.get(name)).unwrap_or_default();
        if !same(field("csrf"), &session.csrf) {
            return self.error_page(400, "That did not work", "Please go back and try again.");
        }
        let Ok(id) = field("id").parse() else { return see_other("/grants") };
        match self.revoke_own(&session.subject, id).await {
            Ok(()) => see_other("/grants"),
            Err(_) => self.error_page(503, "We cannot do this right now", "Please try again."),
        }
    }

    /// Ends it if it is the user's own.
    async fn revoke_own(&self, subject: &Subject, id: GrantId) -> Result<(), Error> {
        let query = GrantQuery::new().of_subject(subject.clone()).limit(1000);
        let mut next = Some(query.clone());
        while let Some(page) = next {
            let page = self.server.grants(&page).await?;
            if page.grants.iter().any(|grant| grant.id() == id) {
                return self.server.revoke_grant(id).await.map(drop);
            }
            next = page.next.map(|cursor| query.clone().after(cursor));
        }
        Ok(())
    }
}

/// Year, month and day.
pub(super) fn date(moment: grantor::Timestamp) -> String {
    let days = moment.as_millis() / 86_400_000;
    // Howard Hinnant's civil_from_days, from 1970 on.
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}")
}
