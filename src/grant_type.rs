//! Grant types: what a token request is asked to prove, one file each.
//!
//! A [`GrantType`] reads its parameters and says what was approved. The server has
//! authenticated the client before, and narrows scopes, mints tokens and stores them
//! after.

mod authorization_code;
mod client_credentials;
mod password;
mod refresh_token;

use std::fmt;
use std::future::Future;
use std::net::IpAddr;
use std::sync::Arc;

use stackfuture::StackFuture;

use crate::client::Client;
use crate::clock::Timestamp;
use crate::endpoint::login;
use crate::error::{Error, GrantFailure, RequestFailure};
use crate::grant::{Grant, Issued};
use crate::id::{GrantTypeName, Subject};
use crate::parameter::Parameter;
use crate::parameters::Parameters;
use crate::policy::Limits;
use crate::scope::Scope;
use crate::server::Core;
use crate::token::Presented;
use crate::user::User;

pub use authorization_code::AuthorizationCodeGrant;
pub(crate) use authorization_code::Exchange;
pub use client_credentials::ClientCredentialsGrant;
pub use password::PasswordGrant;
pub use refresh_token::RefreshTokenGrant;
pub(crate) use refresh_token::Refreshing;

/// One grant type of the token endpoint.
///
/// The built-in ones use nothing that is not here. [`guide::custom_grants`](crate::guide::custom_grants)
/// makes one.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a grant type",
    note = "implement `GrantType`: the value of `grant_type`, and what a request is allowed"
)]
pub trait GrantType: Send + Sync + 'static {
    /// The value of `grant_type` that selects it.
    fn name(&self) -> GrantTypeName;

    /// What the request is allowed. The client is authenticated and registered for this
    /// grant type.
    ///
    /// # Errors
    /// Whatever the client is to be told, such as a missing parameter or
    /// [`Error::InvalidGrant`].
    fn approve(&self, request: &Authenticated<'_>) -> impl Future<Output = Result<Approval, Error>> + Send;
}

/// A token request whose client has been authenticated.
pub struct Authenticated<'a> {
    core: &'a Core,
    client: &'a Client,
    parameters: &'a Parameters<'a>,
    peer: Option<IpAddr>,
    now: Timestamp,
}

impl<'a> Authenticated<'a> {
    pub(crate) fn new(
        core: &'a Core,
        client: &'a Client,
        parameters: &'a Parameters<'a>,
        peer: Option<IpAddr>,
        now: Timestamp,
    ) -> Self {
        Self { core, client, parameters, peer, now }
    }

    /// The client that sent the request.
    #[must_use]
    pub fn client(&self) -> &Client {
        self.client
    }

    /// When the request began.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// Where the request came from, if the host says so.
    #[must_use]
    pub fn peer(&self) -> Option<IpAddr> {
        self.peer
    }

    /// The user with this name and password, as the server's user store and password verifier
    /// have it; the server's attempt limiter is asked before.
    ///
    /// # Errors
    /// [`Error::InvalidGrant`] when there is no such user, the password is wrong or the user is
    /// disabled, which the client cannot tell apart; [`Error::Unavailable`] when there were too many
    /// attempts, or too many passwords are being checked; or when the server has no user store
    /// or no verifier.
    pub async fn log_in(&self, username: &str, password: &str) -> Result<Arc<User>, Error> {
        login::log_in(self.core, username, password, self.peer, self.now).await
    }

    /// The value of a parameter that a specification defines; `None` if it is absent or
    /// empty.
    #[must_use]
    pub fn parameter(&self, parameter: Parameter) -> Option<&str> {
        self.parameters.get(parameter)
    }

    /// The value of such a parameter.
    ///
    /// # Errors
    /// [`RequestFailure::Missing`] if it is absent or empty.
    pub fn required(&self, parameter: Parameter) -> Result<&str, Error> {
        self.parameters.require(parameter)
    }

    /// The value of a parameter that this grant type defines for itself.
    ///
    /// # Errors
    /// [`RequestFailure::Repeated`] if it occurs more than once.
    pub fn own_parameter(&self, name: &'static str) -> Result<Option<&str>, Error> {
        let mut values = self.parameters.other(name);
        let value = values.next();
        match values.next() {
            None => Ok(value),
            Some(_) => Err(RequestFailure::Repeated(Parameter::Extension(name)).into()),
        }
    }

    /// The value of a parameter that this grant type defines for itself.
    ///
    /// # Errors
    /// [`RequestFailure::Missing`] if it is absent or empty, [`RequestFailure::Repeated`] if it
    /// occurs more than once.
    pub fn required_own_parameter(&self, name: &'static str) -> Result<&str, Error> {
        self.own_parameter(name)?.ok_or(Error::missing(Parameter::Extension(name)))
    }

    /// All values of a parameter that may be repeated, such as `resource`.
    pub fn repeatable_parameter<'s>(&'s self, name: &'s str) -> impl Iterator<Item = &'s str> {
        self.parameters.other(name)
    }

    /// Reads a code or token that is to be looked up.
    fn presented(&self, parameter: Parameter) -> Result<Presented, Error> {
        let text = self.required(parameter)?;
        self.core.format.read(text).ok_or(GrantFailure::Malformed.into())
    }
}

impl fmt::Debug for Authenticated<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authenticated").field("client", self.client.id()).finish_non_exhaustive()
    }
}

/// What a [`GrantType`] approved.
///
/// What narrows it, such as [`at_most`](Self::at_most), is for new grants: a code or a
/// refresh token stands for what was allowed before.
pub struct Approval(pub(crate) Approved, pub(crate) Vec<(&'static str, Member)>);

/// The value of a member that an extension grant adds to the answer.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Member {
    /// A text.
    Text(String),
    /// A whole number.
    Number(u64),
    /// True or false.
    Truth(bool),
}

pub(crate) enum Approved {
    /// A grant that begins with this request.
    New { subject: Option<Subject>, auth_time: Option<Timestamp>, most: Option<Scope>, refreshable: bool },
    /// The grant whose code is presented, if it is found to be right.
    Code(Presented),
    /// The grant whose refresh token is presented, if it is found to be right.
    RefreshToken(Presented),
}

impl Approval {
    /// The client may act for itself, with the scope it asks for, as far as it is
    /// registered for it. There is no refresh token (RFC 6749 §4.4.3).
    #[must_use]
    pub fn for_client() -> Self {
        Self(Approved::New { subject: None, auth_time: None, most: None, refreshable: false }, Vec::new())
    }

    /// The client may act for `subject`, with the scope it asks for, as far as it is
    /// registered for it. A refresh token is issued if the client's registration allows it.
    #[must_use]
    pub fn for_subject(subject: Subject) -> Self {
        Self(
            Approved::New { subject: Some(subject), auth_time: None, most: None, refreshable: true },
            Vec::new(),
        )
    }

    /// Grants no more than `most`, whatever the client is registered for.
    #[must_use]
    pub fn at_most(mut self, scope: Scope) -> Self {
        if let Approved::New { most, .. } = &mut self.0 {
            *most = Some(scope);
        }
        self
    }

    /// Says when the subject was authenticated.
    #[must_use]
    pub fn authenticated_at(mut self, moment: Timestamp) -> Self {
        if let Approved::New { auth_time, .. } = &mut self.0 {
            *auth_time = Some(moment);
        }
        self
    }

    /// Adds a member to the answer (RFC 6749 §5.1). One that specifications define is not replaced,
    /// and of two with one name the first stays.
    #[must_use]
    pub fn member(mut self, name: &'static str, value: Member) -> Self {
        const DEFINED: [&str; 5] = ["access_token", "token_type", "expires_in", "refresh_token", "scope"];
        if !DEFINED.contains(&name) && self.1.iter().all(|(own, _)| *own != name) {
            self.1.push((name, value));
        }
        self
    }

    /// Issues no refresh token.
    #[must_use]
    pub fn without_refresh_token(mut self) -> Self {
        if let Approved::New { refreshable, .. } = &mut self.0 {
            *refreshable = false;
        }
        self
    }

    /// Whatever the code in the request stands for, once the server has found it to be
    /// right.
    ///
    /// # Errors
    /// When there is no code, or it is not one of this server's.
    pub fn of_code(request: &Authenticated<'_>) -> Result<Self, Error> {
        request.presented(Parameter::Code).map(|code| Self(Approved::Code(code), Vec::new()))
    }

    /// Whatever the refresh token in the request stands for, once the server has found it
    /// to be right.
    ///
    /// # Errors
    /// When there is no refresh token, or it is not one of this server's.
    pub fn of_refresh_token(request: &Authenticated<'_>) -> Result<Self, Error> {
        request
            .presented(Parameter::RefreshToken)
            .map(|token| Self(Approved::RefreshToken(token), Vec::new()))
    }
}

impl fmt::Debug for Approval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Approved::New { .. } => "Approval(a new grant)",
            Approved::Code(_) => "Approval(of a code)",
            Approved::RefreshToken(_) => "Approval(of a refresh token)",
        })
    }
}

/// How a request moves an existing grant on. Asked again on what is there whenever a write
/// did not go through.
pub(crate) trait Transition {
    /// Comes before the first decision, if the host has rules of its own.
    fn limit(&mut self, limits: &Limits);

    fn decide(&mut self, grant: &Grant) -> Decision;
}

/// What is to happen to an existing grant.
pub(crate) enum Decision {
    /// Write `next`; then `issued` is the answer.
    Replace {
        next: Arc<Grant>,
        issued: Issued,
        displaced: usize,
    },
    /// Write `next`, and decide again on it.
    Prepare {
        next: Arc<Grant>,
    },
    /// Insert `child`; then `issued` is the answer.
    Insert {
        child: Arc<Grant>,
        issued: Issued,
    },
    /// Nothing changes, and `issued` is the answer.
    Answer(Issued),
    /// Remove the grant, and refuse.
    Remove(GrantFailure),
    /// What was read cannot be the latest: look once more, then refuse.
    LookAgain(GrantFailure),
    Refuse(Error),
}

/// [`GrantType`] once more, object-safe.
pub(crate) trait DynGrantType: Send + Sync {
    fn approve<'a>(&'a self, request: &'a Authenticated<'_>) -> Approving<'a>;
}

/// Boxed only if it is large, as where a password is checked.
type Approving<'a> = StackFuture<'a, Result<Approval, Error>, 64>;

impl<G: GrantType> DynGrantType for G {
    fn approve<'a>(&'a self, request: &'a Authenticated<'_>) -> Approving<'a> {
        Approving::from_or_box(GrantType::approve(self, request))
    }
}

/// The grant types of a server, by name.
#[derive(Default)]
pub(crate) struct GrantTypes(Vec<(GrantTypeName, Box<dyn DynGrantType>)>);

impl GrantTypes {
    /// Adds `grant_type`, in the place of one with the same name.
    pub(crate) fn add(&mut self, grant_type: impl GrantType) {
        let name = grant_type.name();
        self.0.retain(|(own, _)| *own != name);
        self.0.push((name, Box::new(grant_type)));
    }

    /// Names are compared exactly (RFC 6749 Appendix A.10).
    pub(crate) fn get(&self, name: &str) -> Option<(&GrantTypeName, &dyn DynGrantType)> {
        self.0.iter().find(|(own, _)| own.as_str() == name).map(|(name, grant_type)| (name, &**grant_type))
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &GrantTypeName> {
        self.0.iter().map(|(name, _)| name)
    }
}
