#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod client;
mod clock;
mod endpoint;
mod entropy;
pub mod error;
pub mod event;
pub mod grant;
pub mod grant_type;
pub mod guide;
pub mod http;
mod id;
pub mod limiter;
mod parameter;
mod parameters;
pub mod password;
mod pkce;
pub mod policy;
mod redirect_uri;
pub mod resource;
mod scope;
mod secret;
mod server;
mod server_key;
mod settings;
pub mod store;
mod sync;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
mod token;
mod user;

pub use client::{
    AuthMethod, Client, ClientBuilder, ClientProblem, DangerousClientBuilder, HashedSecret, InvalidClient,
    RefreshLimit,
};
pub use clock::{Clock, Lifetime, SystemClock, Timestamp};
pub use endpoint::{
    ActiveToken, AuthorizationRefused, AuthorizationRequest, AuthorizationResponse, ConsentDecision,
    ConsentRequest, Introspection, ResponseMode, TokenKind, TokenQuery, TokenRequest, TokenResponse,
};
pub use entropy::{Entropy, EntropyError, SystemEntropy};
pub use error::Error;
pub use id::{ClientId, GrantId, GrantTypeName, InvalidName, Subject};
pub use parameter::Parameter;
pub use pkce::{CodeChallenge, CodeChallengeMethod, CodeVerifier, InvalidPkce};
pub use redirect_uri::{InvalidRedirectUri, LoopbackPort, RedirectUri, RedirectUriRules};
pub use scope::{InvalidScope, Scope, ScopeDefinition, ScopeToken};
pub use secret::{AccessToken, AuthorizationCode, ClientSecret, Password, RefreshToken};
pub use server::{AuthorizationServer, Builder, DangerousBuilder, InvalidServer};
pub use server_key::{InvalidServerKey, ServerKey};
pub use settings::{DangerousSettings, InvalidSetting, ScopePolicy, Settings};
pub use user::{User, UserPassword};
