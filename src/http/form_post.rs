//! The page that posts an authorization response to the client (OAuth 2.0 Form Post Response
//! Mode).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};

use crate::endpoint::AuthorizationResponse;

const SUBMIT: &str = "document.forms[0].submit()";

/// Lets the one script run, and the form go where it has to.
pub(super) fn policy() -> String {
    let hash = STANDARD.encode(Sha256::digest(SUBMIT));
    // A form may be redirected on by the client, so its target is left open.
    format!("default-src 'none'; script-src 'sha256-{hash}'; base-uri 'none'; frame-ancestors 'none'")
}

/// Without scripts, the button does it.
pub(super) fn page(response: &AuthorizationResponse) -> String {
    let mut page = String::from(
        "<!DOCTYPE html><html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" \
         content=\"width=device-width\"><title>Continue</title><form method=\"post\" action=\"",
    );
    escape(&mut page, response.location());
    page.push_str("\">");
    for (name, value) in response.form() {
        page.push_str("<input type=\"hidden\" name=\"");
        page.push_str(name);
        page.push_str("\" value=\"");
        escape(&mut page, value);
        page.push_str("\">");
    }
    page.push_str("<button>Continue</button></form><script>");
    page.push_str(SUBMIT);
    page.push_str("</script></html>");
    page
}

fn escape(into: &mut String, text: &str) {
    for c in text.chars() {
        match c {
            '&' => into.push_str("&amp;"),
            '<' => into.push_str("&lt;"),
            '>' => into.push_str("&gt;"),
            '"' => into.push_str("&quot;"),
            '\'' => into.push_str("&#39;"),
            // A browser takes a line end in a value for another than was sent.
            '\r' => into.push_str("&#13;"),
            '\n' => into.push_str("&#10;"),
            other => into.push(other),
        }
    }
}
