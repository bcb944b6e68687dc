//! A small API that takes bearer tokens.

use std::sync::Mutex;

use grantor::http::Reply;
use grantor::resource::{BearerToken, ResourceRequest};
use serde_json::{Value, json};

use super::super::Page;
use super::{Incoming, Inner};

/// The orders of this run.
pub(super) struct Orders(Mutex<Vec<String>>);

const MOST: usize = 1000;

impl Orders {
    pub(super) fn new() -> Self {
        Self(Mutex::new(vec!["Twelve pencils".to_owned(), "A pot of tea".to_owned()]))
    }

    fn all(&self) -> Vec<String> {
        self.0.lock().map(|orders| orders.clone()).unwrap_or_default()
    }

    /// The number of the new order; `None` if there is no room.
    fn add(&self, item: &str) -> Option<usize> {
        let mut orders = self.0.lock().ok()?;
        (orders.len() < MOST).then(|| {
            orders.push(item.to_owned());
            orders.len()
        })
    }
}

impl Inner {
    pub(super) async fn call_api(&self, request: &Incoming<'_>) -> Page {
        let known =
            matches!(request.path, "/api/orders" | "/api/me") || request.path.starts_with("/api/orders/");
        if !known {
            return Page::not_found();
        }
        let mut bearer = ResourceRequest::new().query(request.query);
        for (name, value) in &request.headers {
            if name.eq_ignore_ascii_case("authorization") {
                bearer = bearer.authorization(value);
            }
        }
        // All there is to protecting a route.
        let resource = format!("{} {}", request.method, request.path);
        let token = match self.guard.check(&bearer, &resource).await {
            Ok(token) => token,
            Err(refused) => return Reply::from(&refused).into(),
        };
        self.serve(request, &token)
    }

    fn serve(&self, request: &Incoming<'_>, token: &BearerToken) -> Page {
        match (request.method, request.path) {
            ("GET" | "HEAD", "/api/me") => Page::json(
                200,
                &json!({ "sub": token.sub(), "client_id": token.client().map(grantor::ClientId::as_str), "scope": token.scope().as_str() }),
            ),
            ("GET" | "HEAD", "/api/orders") => {
                let orders = self.orders.all();
                let orders = orders.iter().enumerate().map(|(at, item)| order(at + 1, item));
                Page::json(200, &json!({ "orders": orders.collect::<Vec<_>>() }))
            }
            ("POST", "/api/orders") => {
                let body: Value = serde_json::from_slice(request.body).unwrap_or_default();
                let item = body.get("item").and_then(Value::as_str).unwrap_or("Something nice");
                match self.orders.add(item) {
                    Some(id) => Page::json(201, &order(id, item)),
                    None => Page::refusal(507, "full", "There is no room for more orders."),
                }
            }
            ("GET" | "HEAD", path) => {
                let id = path.strip_prefix("/api/orders/").and_then(|id| id.parse::<usize>().ok());
                let orders = self.orders.all();
                let found = id.and_then(|id| Some((id, orders.get(id.checked_sub(1)?)?)));
                found.map_or_else(Page::not_found, |(id, item)| Page::json(200, &order(id, item)))
            }
            _ => Page::method_not_allowed("GET, POST"),
        }
    }
}

fn order(id: usize, item: &str) -> Value {
    json!({ "id": id, "item": item })
}
