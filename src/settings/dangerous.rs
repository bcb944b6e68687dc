//! What weakens the security of all clients. Each use is reported as an event when the
//! server is built.

use crate::clock::Lifetime;

use super::Settings;

/// Settings that weaken security; see [`Settings::dangerous`].
#[derive(Clone, Debug)]
#[must_use]
pub struct DangerousSettings(pub(super) Settings);

impl DangerousSettings {
    /// Access tokens never expire: a leaked one works until its grant is revoked.
    pub fn access_tokens_never_expire(mut self) -> Settings {
        self.0.access_token_lifetime = Ok(Lifetime::NEVER_ENDS);
        self.0
    }

    /// Accepts the code challenge method `plain`, by which whoever sees the authorization
    /// request can redeem the code (RFC 7636 §7.2).
    pub fn allow_plain_pkce(mut self) -> Settings {
        self.0.allow_plain_pkce = true;
        self.0
    }
}
