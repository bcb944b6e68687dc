//! The endpoints, without HTTP: typed requests in, typed answers out.

mod alive;
mod authenticate;
pub(crate) mod authorize;
pub(crate) mod introspect;
pub(crate) mod login;
pub(crate) mod manage;
pub(crate) mod revoke;
mod scope;
mod settle;
mod ticket;
pub(crate) mod token;
mod token_query;

pub use authorize::{
    AuthorizationRefused, AuthorizationRequest, AuthorizationResponse, ConsentDecision, ConsentRequest,
    ResponseMode,
};
pub use introspect::{ActiveToken, Introspection, TokenKind};
pub use token::{TokenRequest, TokenResponse};
pub use token_query::TokenQuery;
