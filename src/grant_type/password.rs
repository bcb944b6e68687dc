//! `password` (RFC 6749 §4.3), which RFC 9700 §2.4 says not to use.

use crate::error::Error;
use crate::id::GrantTypeName;
use crate::parameter::Parameter;

use super::{Approval, Authenticated, GrantType};

/// A client sends the username and the password of the resource owner.
///
/// Off until the host turns it on, for clients of old that cannot be changed: see
/// [`DangerousBuilder::password_grant`](crate::DangerousBuilder::password_grant).
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct PasswordGrant;

impl GrantType for PasswordGrant {
    fn name(&self) -> GrantTypeName {
        GrantTypeName::PASSWORD
    }

    async fn approve(&self, request: &Authenticated<'_>) -> Result<Approval, Error> {
        let username = request.required(Parameter::Username)?;
        let password = request.required(Parameter::Password)?;
        let user = request.log_in(username, password).await?;
        let approval = Approval::for_subject(user.subject().clone()).authenticated_at(request.now());
        Ok(match user.may_grant() {
            Some(scope) => approval.at_most(scope.clone()),
            None => approval,
        })
    }
}
