//! Introspection and revocation over HTTP (RFC 7662 §2.1, RFC 7009 §2.1).

use std::net::IpAddr;

use crate::endpoint::TokenQuery;
use crate::error::Error;
use crate::event::Event;
use crate::parameters::Parameters;
use crate::server::AuthorizationServer;

use super::parse;
use super::reply::Reply;
use super::request::Request;

pub(super) async fn introspect(
    server: &AuthorizationServer,
    request: &Request<'_>,
    peer: Option<IpAddr>,
) -> Result<Reply, Error> {
    let report = |error: &Error| report_introspection(server, error);
    let header = parse::authorization(request).inspect_err(report)?;
    let mut query = TokenQuery::empty(parse::credentials(header.as_ref()), peer);
    read(request, &mut query.parameters).inspect_err(report)?;
    let told = server.introspection(&query).await?;
    let username = match told.active().and_then(|token| token.subject()) {
        Some(subject) => server.username(subject).await?,
        None => None,
    };
    Ok(Reply::introspection(&told, server.issuer(), username.as_deref()))
}

pub(super) async fn revoke(
    server: &AuthorizationServer,
    request: &Request<'_>,
    peer: Option<IpAddr>,
) -> Result<Reply, Error> {
    let report = |error: &Error| report_revocation(server, error);
    let header = parse::authorization(request).inspect_err(report)?;
    let mut query = TokenQuery::empty(parse::credentials(header.as_ref()), peer);
    read(request, &mut query.parameters).inspect_err(report)?;
    server.revocation(&query).await?;
    Ok(Reply::empty(200).with("cache-control", "no-store"))
}

fn read<'a>(request: &Request<'a>, parameters: &mut Parameters<'a>) -> Result<(), Error> {
    parse::check_media_type(request)?;
    parse::parameters(request.body, parameters)
}

/// What is refused before the server sees it is reported all the same.
pub(super) fn report_introspection(server: &AuthorizationServer, error: &Error) {
    server.report(&Event::IntrospectionRefused { client: None, error });
}

/// As [`report_introspection`].
pub(super) fn report_revocation(server: &AuthorizationServer, error: &Error) {
    server.report(&Event::RevocationRefused { client: None, error });
}
