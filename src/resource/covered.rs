//! Which scopes cover a resource.

use crate::scope::{Scope, ScopeDefinition, ScopeToken};

/// The resources of all scopes.
#[derive(Clone, Debug, Default)]
pub(super) struct Covered(Vec<(ScopeToken, Pattern)>);

/// A name, or a method and a path.
#[derive(Clone, Debug)]
enum Pattern {
    Name(String),
    Path { method: String, path: String },
}

impl Covered {
    pub(super) fn extend<'a>(&mut self, scopes: impl IntoIterator<Item = &'a ScopeDefinition>) {
        for scope in scopes {
            let patterns = scope.resources().map(Pattern::read);
            self.0.extend(patterns.map(|pattern| (scope.token().clone(), pattern)));
        }
    }

    /// Any one of these covers it.
    pub(super) fn scopes_for(&self, resource: &str) -> Scope {
        let covering = self.0.iter().filter(|(_, pattern)| pattern.covers(resource));
        covering.map(|(scope, _)| scope.clone()).collect()
    }
}

impl Pattern {
    fn read(text: &str) -> Self {
        match text.split_once(' ') {
            Some((method, path)) if path.starts_with('/') => {
                Self::Path { method: method.to_owned(), path: path.to_owned() }
            }
            _ => Self::Name(text.to_owned()),
        }
    }

    fn covers(&self, resource: &str) -> bool {
        match self {
            Self::Name(name) => name == resource,
            Self::Path { method: pattern, path: below } => {
                resource.split_once(' ').is_some_and(|(method, path)| {
                    // What can be asked for with GET can be asked about with HEAD.
                    let method = if method == "HEAD" { "GET" } else { method };
                    (pattern == "*" || pattern == method) && is_plain(path) && path_matches(below, path)
                })
            }
        }
    }
}

/// A path that a server behind this one could read in another way is covered by nothing.
fn is_plain(path: &str) -> bool {
    let lower = path.to_ascii_lowercase();
    let odd = lower.contains("//") || lower.contains('\\') || lower.contains("%2f") || lower.contains("%5c");
    !odd && lower.split('/').all(|segment| !matches!(segment.replace("%2e", ".").as_str(), "." | ".."))
}

/// `*` stands for one segment, and at the end for one or more.
fn path_matches(pattern: &str, path: &str) -> bool {
    let (mut wanted, mut got) = (pattern.split('/'), path.split('/'));
    loop {
        match (wanted.next(), got.next()) {
            (None, None) => return true,
            (Some("*"), Some(segment)) if !segment.is_empty() => {
                if wanted.clone().next().is_none() {
                    return true;
                }
            }
            (Some(wanted), Some(got)) if wanted == got && wanted != "*" => {}
            _ => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn covers(pattern: &str, resource: &str) -> bool {
        Pattern::read(pattern).covers(resource)
    }

    #[test]
    fn a_star_is_one_segment_and_at_the_end_one_or_more() {
        for (pattern, resource) in [
            ("GET /orders", "GET /orders"),
            ("GET /orders/*", "GET /orders/7"),
            ("GET /orders/*", "GET /orders/7/lines"),
            ("GET /*/lines", "GET /7/lines"),
            ("* /orders", "DELETE /orders"),
            ("GET /orders", "HEAD /orders"),
            ("orders:read", "orders:read"),
            ("wm.folder:service", "wm.folder:service"),
        ] {
            assert!(covers(pattern, resource), "{pattern} covers {resource}");
        }
    }

    #[test]
    fn nothing_else_is_covered() {
        for (pattern, resource) in [
            ("GET /orders", "POST /orders"),
            ("GET /orders", "get /orders"),
            ("GET /orders", "GET /orders/"),
            ("GET /orders", "GET /Orders"),
            ("GET /orders/*", "GET /orders"),
            ("GET /orders/*", "GET /orders/"),
            ("GET /orders/*", "GET /ordersx/7"),
            ("GET /orders/*", "GET /orders/../admin"),
            ("GET /orders/*", "GET /orders/%2e%2E/admin"),
            ("GET /orders/*", "GET /orders/..%2fadmin"),
            ("GET /orders/*", "GET /orders//7"),
            ("GET /orders/*", "GET /orders/..\\admin"),
            ("GET /*/lines", "GET /7/8/lines"),
            ("GET /*/lines", "GET //lines"),
            ("GET /orders", "/orders"),
            ("orders", "orders "),
            ("orders*", "ordersx"),
            ("POST /orders", "HEAD /orders"),
        ] {
            assert!(!covers(pattern, resource), "{pattern} does not cover {resource}");
        }
    }
}
