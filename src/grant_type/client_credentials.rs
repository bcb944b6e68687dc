//! `client_credentials` (RFC 6749 §4.4).

use crate::error::Error;
use crate::id::GrantTypeName;

use super::{Approval, Authenticated, GrantType};

/// A confidential client acts for itself.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct ClientCredentialsGrant;

impl GrantType for ClientCredentialsGrant {
    fn name(&self) -> GrantTypeName {
        GrantTypeName::CLIENT_CREDENTIALS
    }

    async fn approve(&self, request: &Authenticated<'_>) -> Result<Approval, Error> {
        // Registrations cannot say so, but a store may hand out what it likes.
        if request.client().is_public() {
            return Err(Error::UnauthorizedClient {
                client: request.client().id().clone(),
                grant_type: self.name(),
            });
        }
        Ok(Approval::for_client())
    }
}
