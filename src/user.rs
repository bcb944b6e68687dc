//! [`User`]: a resource owner that the server knows.

use crate::clock::Timestamp;
use crate::id::Subject;
use crate::password::PasswordHash;
use crate::scope::Scope;

/// A resource owner.
///
/// ```
/// # use grantor::{Subject, User};
/// let alice = User::new(Subject::new("u-4711")?, "alice").scopes("orders.read orders.write".parse().unwrap());
/// assert!(alice.is_enabled());
/// # Ok::<(), grantor::InvalidName>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
// What this version does not know may restrict what the user may do.
#[cfg_attr(feature = "serde", serde(deny_unknown_fields))]
pub struct User {
    subject: Subject,
    username: String,
    enabled: bool,
    valid_after: Timestamp,
    scopes: Option<Scope>,
    #[cfg_attr(feature = "serde", serde(default, skip_serializing_if = "Option::is_none"))]
    password: Option<UserPassword>,
}

/// Where the password of a user is. Exhaustive: whoever checks it has to know.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
pub enum UserPassword {
    /// Its hash is here.
    Phc(PasswordHash),
    /// It is kept elsewhere, such as in a directory:
    /// [`PasswordVerifier::verify_elsewhere`](crate::password::PasswordVerifier::verify_elsewhere).
    External,
}

impl User {
    /// An enabled user who may grant everything.
    #[must_use]
    pub fn new(subject: Subject, username: impl Into<String>) -> Self {
        Self {
            subject,
            username: username.into(),
            enabled: true,
            valid_after: Timestamp::EPOCH,
            scopes: None,
            password: None,
        }
    }

    /// Says where the password is. Without one, the user cannot log in with a password.
    #[must_use]
    pub fn password(mut self, password: UserPassword) -> Self {
        self.password = Some(password);
        self
    }

    /// Limits what this user may grant.
    #[must_use]
    pub fn scopes(mut self, scopes: Scope) -> Self {
        self.scopes = Some(scopes);
        self
    }

    /// Enables or disables the user. Grants of a disabled user are dead until it is enabled
    /// again.
    #[must_use]
    pub fn enabled(mut self, enabled: bool) -> Self {
        self.enabled = enabled;
        self
    }

    /// Ends all grants of this user that began before `moment`.
    #[must_use]
    pub fn valid_after(mut self, moment: Timestamp) -> Self {
        self.valid_after = moment;
        self
    }

    /// The stable identifier.
    #[must_use]
    pub fn subject(&self) -> &Subject {
        &self.subject
    }

    /// The name to log in with.
    #[must_use]
    pub fn username(&self) -> &str {
        &self.username
    }

    /// False if the user is disabled.
    #[must_use]
    pub fn is_enabled(&self) -> bool {
        self.enabled
    }

    /// Grants that began before this moment are dead.
    #[must_use]
    pub fn is_valid_after(&self) -> Timestamp {
        self.valid_after
    }

    /// Where the password is, if there is one.
    #[must_use]
    pub fn has_password(&self) -> Option<&UserPassword> {
        self.password.as_ref()
    }

    /// What this user may grant; `None`: everything.
    #[must_use]
    pub fn may_grant(&self) -> Option<&Scope> {
        self.scopes.as_ref()
    }
}
