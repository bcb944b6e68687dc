//! The token endpoint over HTTP (RFC 6749 §3.2).

use std::net::IpAddr;

use crate::endpoint::TokenRequest;
use crate::error::{Error, RequestFailure};
use crate::event::Event;
use crate::parameter::Parameter;
use crate::parameters::Parameters;
use crate::server::AuthorizationServer;

use super::parse;
use super::reply::Reply;
use super::request::Request;

/// Which grant types a path takes; the modern one takes all.
pub(super) type Served = Option<&'static [&'static str]>;

pub(super) async fn token(
    server: &AuthorizationServer,
    request: &Request<'_>,
    peer: Option<IpAddr>,
    served: Served,
) -> Result<Reply, Error> {
    let header = parse::authorization(request).inspect_err(|error| report(server, error))?;
    let mut token_request = TokenRequest::empty(parse::credentials(header.as_ref()), peer);
    read(request, served, &mut token_request.parameters).inspect_err(|error| report(server, error))?;
    Ok(Reply::token(&server.token(&token_request).await?))
}

/// What is refused before the server sees it is reported all the same.
pub(super) fn report(server: &AuthorizationServer, error: &Error) {
    server.report(&Event::TokenRefused { client: None, error });
}

fn read<'a>(request: &Request<'a>, served: Served, parameters: &mut Parameters<'a>) -> Result<(), Error> {
    // Parameters come from the body alone (RFC 6749 §3.2), but for a `GET`, which has none
    // and gets here only if the host allowed it.
    let is_get = request.method == "GET";
    if !is_get {
        parse::check_media_type(request)?;
    }
    let form = if is_get { request.query.unwrap_or_default().as_bytes() } else { request.body };
    parse::parameters(form, parameters)?;
    if is_get && parameters.get(Parameter::ClientSecret).is_some() {
        // Secrets in a URI end up in logs (RFC 6749 §2.3.1).
        return Err(RequestFailure::Malformed(Parameter::ClientSecret).into());
    }
    match (served, parameters.get(Parameter::GrantType)) {
        (Some(served), Some(grant_type)) if !served.contains(&grant_type) => Err(Error::UnsupportedGrantType),
        _ => Ok(()),
    }
}
