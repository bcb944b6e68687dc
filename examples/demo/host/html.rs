//! Pages, from templates that escape whatever is put into them.

use minijinja::{Environment, Value};

use super::super::Page;
use super::Inner;

pub(super) struct Pages(Environment<'static>);

const TEMPLATES: [(&str, &str); 9] = [
    ("base.html", include_str!("../templates/base.html")),
    ("front.html", include_str!("../templates/front.html")),
    ("callback.html", include_str!("../templates/callback.html")),
    ("login.html", include_str!("../templates/login.html")),
    ("logout.html", include_str!("../templates/logout.html")),
    ("consent.html", include_str!("../templates/consent.html")),
    ("grants.html", include_str!("../templates/grants.html")),
    ("admin.html", include_str!("../templates/admin.html")),
    ("error.html", include_str!("../templates/error.html")),
];

impl Pages {
    pub(super) fn new() -> Self {
        let mut pages = Environment::new();
        for (name, source) in TEMPLATES {
            if let Err(error) = pages.add_template(name, source) {
                tracing::error!(%error, name, "a template is broken");
            }
        }
        Self(pages)
    }
}

impl Inner {
    pub(super) fn render(&self, status: u16, name: &str, values: Value) -> Page {
        self.render_posting(status, name, values, "")
    }

    /// A page whose forms may go to `targets`, besides this host.
    pub(super) fn render_posting(&self, status: u16, name: &str, values: Value, targets: &str) -> Page {
        let rendered = self.pages.0.get_template(name).and_then(|template| template.render(values));
        let (status, body) = rendered.map_or_else(
            |error| {
                tracing::error!(%error, name, "a page could not be made");
                (500, "Something went wrong.".to_owned())
            },
            |body| (status, body),
        );
        let policy = format!(
            "default-src 'none'; style-src 'self'; form-action 'self'{targets}; base-uri 'none'; \
             frame-ancestors 'none'"
        );
        Page::new(status, "text/html; charset=utf-8", body)
            .with("content-security-policy", policy)
            .with("x-frame-options", "DENY")
            .with("x-content-type-options", "nosniff")
            .with("referrer-policy", "no-referrer")
    }

    pub(super) fn error_page(&self, status: u16, title: &str, text: &str) -> Page {
        self.render(status, "error.html", minijinja::context! { title, text })
    }
}

pub(super) fn style() -> Page {
    let mut page = Page::new(200, "text/css; charset=utf-8", include_str!("../templates/style.css"));
    page.headers.retain(|(name, _)| *name != "cache-control");
    page.with("cache-control", "public, max-age=3600").with("x-content-type-options", "nosniff")
}

/// Sends the browser on. Whatever was posted is not posted again.
pub(super) fn see_other(location: &str) -> Page {
    Page { status: 303, headers: Vec::new(), body: Vec::new() }
        .with("location", location.to_owned())
        .with("cache-control", "no-store")
        .with("referrer-policy", "no-referrer")
}
