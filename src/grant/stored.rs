//! The written form of a grant: what durable stores keep.
//!
//! JSON with a format number. It is apart from [`Grant`], so that one can change without the
//! other: what a field is called here is called so in every store there is.

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::error::StoreError;
use crate::id::{ClientId, GrantId, GrantTypeName, Subject};
use crate::pkce::{CodeChallenge, CodeChallengeMethod};
use crate::scope::Scope;
use crate::token::Digest;

use super::access::{AccessToken, AccessTokens};
use super::code::Code;
use super::refresh::{Refresh, Rotation};
use super::{Active, Grant, Revision, State};

/// A record that cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidRecord {
    /// A newer version of this library wrote it. It must be neither used nor written over:
    /// what this version does not know may restrict what the grant stands for.
    #[error("the record has format {format}, which is newer than {}", Grant::FORMAT)]
    Newer {
        /// Its format number.
        format: u32,
    },
    /// It is damaged, or no record.
    #[error("the record is damaged")]
    Damaged(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl From<InvalidRecord> for StoreError {
    /// A newer record is out of reach until this process is upgraded, too (503); a damaged
    /// one is a failure (500).
    fn from(error: InvalidRecord) -> Self {
        match error {
            InvalidRecord::Newer { .. } => Self::unavailable(error),
            InvalidRecord::Damaged(_) => Self::other(error),
        }
    }
}

fn damaged(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> InvalidRecord {
    InvalidRecord::Damaged(error.into())
}

impl Grant {
    /// The number of the format that [`to_stored`](Self::to_stored) writes.
    pub const FORMAT: u32 = 1;

    /// The record as a durable store keeps it: a JSON object. It holds digests and no
    /// secret.
    ///
    /// A store keeps it as one value, beside the columns that it needs to find records by.
    ///
    /// ```
    /// # use grantor::store::{GrantQuery, MemoryClientStore, MemoryTokenStore};
    /// # use grantor::testing::{block_on, mint};
    /// # use grantor::{AuthorizationServer, Client};
    /// use grantor::grant::Grant;
    /// # let web = Client::public("web").scopes("orders.read").build()?;
    /// # let server = AuthorizationServer::builder("https://id.example.com")
    /// #     .clients(MemoryClientStore::from_iter([web])).tokens(MemoryTokenStore::new()).build()?;
    /// # let token = block_on(mint(&server, "web".parse()?, Some("alice".parse()?), "orders.read".parse()?))?;
    ///
    /// let page = block_on(server.grants(&GrantQuery::new()))?;
    /// for grant in &page.grants {
    ///     let column: String = grant.to_stored();
    ///     assert!(column.starts_with(r#"{"format":1,"#));
    ///     assert_eq!(Grant::from_stored(&column)?, **grant);
    /// }
    /// # assert_eq!(page.grants.len(), 1);
    /// # assert!(!page.grants[0].to_stored().contains(token.expose()));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn to_stored(&self) -> String {
        // Plain texts and numbers can always be written.
        serde_json::to_string(&Record::of(self)).unwrap_or_default()
    }

    /// Reads what [`to_stored`](Self::to_stored) wrote, in this version or one before.
    ///
    /// ```
    /// # use grantor::grant::{Grant, InvalidRecord};
    /// let newer = Grant::from_stored(r#"{"format":2}"#);
    /// assert!(matches!(newer, Err(InvalidRecord::Newer { format: 2 })));
    /// ```
    ///
    /// # Errors
    /// When the text is no record, or one of a format that is newer than
    /// [`FORMAT`](Self::FORMAT).
    pub fn from_stored(text: &str) -> Result<Self, InvalidRecord> {
        // First, since a newer format need not be readable at all.
        let Numbered { format } = serde_json::from_str(text).map_err(damaged)?;
        if format > Self::FORMAT {
            return Err(InvalidRecord::Newer { format });
        }
        serde_json::from_str::<Record>(text).map_err(damaged)?.into_grant()
    }
}

#[derive(Deserialize)]
struct Numbered {
    format: u32,
}

/// Times are in milliseconds since the Unix epoch.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Record {
    format: u32,
    #[serde(with = "base64url")]
    id: [u8; 16],
    /// In hexadecimal: not everything that reads JSON has numbers of 64 bits.
    revision: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    parent: Option<String>,
    client: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    subject: Option<String>,
    grant_type: String,
    scope: String,
    began_at: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    auth_time: Option<u64>,
    updated_at: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    code: Option<StoredCode>,
    /// The newest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    access: Vec<StoredAccess>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    spent_code: Option<StoredDigest>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    refresh: Option<StoredRefresh>,
}

#[derive(Serialize, Deserialize)]
#[serde(transparent)]
struct StoredDigest(#[serde(with = "base64url")] [u8; 32]);

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StoredCode {
    digest: StoredDigest,
    expires_at: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    redirect_uri: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    challenge: Option<StoredChallenge>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StoredChallenge {
    method: String,
    value: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StoredAccess {
    digest: StoredDigest,
    /// Absent: all that the grant allows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    scope: Option<String>,
    issued_at: u64,
    /// Absent: never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    expires_at: Option<u64>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StoredRefresh {
    family: StoredDigest,
    generation: u32,
    current: StoredDigest,
    issued_at: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    previous: Option<StoredRotation>,
    /// Absent: without limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    left: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    expires_at: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    idle_until: Option<u64>,
    /// Absent: for ever.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    children_until: Option<u64>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StoredRotation {
    replaced: StoredDigest,
    #[serde(with = "base64url")]
    salt: [u8; 16],
}

mod base64url {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use serde::de::Error as _;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&URL_SAFE_NO_PAD.encode(bytes))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>, const N: usize>(
        deserializer: D,
    ) -> Result<[u8; N], D::Error> {
        let bytes = URL_SAFE_NO_PAD.decode(String::deserialize(deserializer)?).map_err(D::Error::custom)?;
        bytes.try_into().map_err(|_| D::Error::custom("it does not have the right length"))
    }
}

fn millis(moment: Option<Timestamp>) -> Option<u64> {
    moment.map(Timestamp::as_millis)
}

fn moment(millis: Option<u64>) -> Option<Timestamp> {
    millis.map(Timestamp::from_millis)
}

/// A scope may be empty where nothing but the client itself is allowed.
fn scope(text: &str) -> Result<Scope, InvalidRecord> {
    if text.is_empty() { Ok(Scope::empty()) } else { Scope::parse(text).map_err(damaged) }
}

impl Record {
    fn of(grant: &Grant) -> Self {
        let mut record = Self {
            format: Grant::FORMAT,
            id: *grant.id.as_bytes(),
            revision: format!("{:016x}", grant.revision.0),
            parent: grant.parent().map(|parent| parent.to_string()),
            client: grant.client.as_str().to_owned(),
            subject: grant.subject.as_ref().map(|subject| subject.as_str().to_owned()),
            grant_type: grant.grant_type.as_str().to_owned(),
            scope: grant.scope.as_str().to_owned(),
            began_at: grant.began_at.as_millis(),
            auth_time: millis(grant.auth_time),
            updated_at: grant.updated_at.as_millis(),
            code: None,
            access: Vec::new(),
            spent_code: None,
            refresh: None,
        };
        match &grant.state {
            State::CodeIssued(code) => record.code = Some(StoredCode::of(code)),
            State::Active(active) => {
                record.access = active.access_tokens().map(StoredAccess::of).collect();
                record.spent_code = active.spent_code().as_ref().map(StoredDigest::of);
                record.refresh = active.refresh().map(StoredRefresh::of);
            }
        }
        record
    }

    fn into_grant(self) -> Result<Grant, InvalidRecord> {
        let revision = u64::from_str_radix(&self.revision, 16).map_err(damaged)?;
        let parent = self.parent.map(|parent| parent.parse()).transpose().map_err(damaged)?;
        let state = match (self.code, self.access.is_empty()) {
            (Some(code), true) if self.spent_code.is_none() && self.refresh.is_none() => {
                State::CodeIssued(Box::new(code.into_code()?))
            }
            (None, false) => {
                let access: Result<Vec<_>, _> =
                    self.access.into_iter().map(StoredAccess::into_access).collect();
                let access = AccessTokens::from_newest(access?).ok_or_else(|| damaged("no access token"))?;
                let spent_code = self.spent_code.map(StoredDigest::into_digest);
                let refresh = self.refresh.map(StoredRefresh::into_refresh);
                State::Active(Active::of(access, spent_code, refresh))
            }
            _ => return Err(damaged("it has neither a code nor tokens, or both")),
        };
        Ok(Grant {
            id: GrantId::from_bytes(self.id),
            revision: Revision(revision),
            parent: parent.map(Box::new),
            client: ClientId::new(self.client).map_err(damaged)?,
            subject: self.subject.map(Subject::new).transpose().map_err(damaged)?,
            grant_type: GrantTypeName::new(self.grant_type).map_err(damaged)?,
            scope: scope(&self.scope)?,
            began_at: Timestamp::from_millis(self.began_at),
            auth_time: moment(self.auth_time),
            updated_at: Timestamp::from_millis(self.updated_at),
            state,
        })
    }
}

impl StoredDigest {
    fn of(digest: &Digest) -> Self {
        Self(*digest.as_bytes())
    }

    fn into_digest(self) -> Digest {
        Digest::from_bytes(self.0)
    }
}

impl StoredCode {
    fn of(code: &Code) -> Self {
        let challenge = code.challenge.as_ref().map(|challenge| StoredChallenge {
            method: challenge.method().as_str().to_owned(),
            value: challenge.as_str().to_owned(),
        });
        Self {
            digest: StoredDigest::of(&code.digest),
            expires_at: code.expires_at.as_millis(),
            redirect_uri: code.redirect_uri.as_deref().map(str::to_owned),
            challenge,
        }
    }

    fn into_code(self) -> Result<Code, InvalidRecord> {
        let challenge = self.challenge.map(|StoredChallenge { method, value }| {
            CodeChallengeMethod::parse(&method).and_then(|method| CodeChallenge::new(method, &value))
        });
        Ok(Code {
            digest: self.digest.into_digest(),
            expires_at: Timestamp::from_millis(self.expires_at),
            redirect_uri: self.redirect_uri.map(Into::into),
            challenge: challenge.transpose().map_err(damaged)?,
        })
    }
}

impl StoredAccess {
    fn of(token: &AccessToken) -> Self {
        Self {
            digest: StoredDigest::of(&token.digest),
            scope: token.scope.as_ref().map(|scope| scope.as_str().to_owned()),
            issued_at: token.issued_at.as_millis(),
            expires_at: millis(token.expires_at),
        }
    }

    fn into_access(self) -> Result<AccessToken, InvalidRecord> {
        Ok(AccessToken {
            digest: self.digest.into_digest(),
            scope: self.scope.as_deref().map(scope).transpose()?,
            issued_at: Timestamp::from_millis(self.issued_at),
            expires_at: moment(self.expires_at),
        })
    }
}

impl StoredRefresh {
    fn of(refresh: &Refresh) -> Self {
        let previous = refresh.previous.as_ref();
        Self {
            family: StoredDigest::of(&refresh.family),
            generation: refresh.generation,
            current: StoredDigest::of(&refresh.current),
            issued_at: refresh.issued_at.as_millis(),
            previous: previous.map(|Rotation { replaced, salt }| StoredRotation {
                replaced: StoredDigest::of(replaced),
                salt: *salt,
            }),
            left: refresh.left,
            expires_at: millis(refresh.expires_at),
            idle_until: millis(refresh.idle_until),
            children_until: millis(refresh.children_until),
        }
    }

    fn into_refresh(self) -> Refresh {
        Refresh {
            family: self.family.into_digest(),
            generation: self.generation,
            current: self.current.into_digest(),
            issued_at: Timestamp::from_millis(self.issued_at),
            previous: self
                .previous
                .map(|last| Rotation { replaced: last.replaced.into_digest(), salt: last.salt }),
            left: self.left,
            expires_at: moment(self.expires_at),
            idle_until: moment(self.idle_until),
            children_until: moment(self.children_until),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::StoreErrorKind;
    use crate::testing::samples::Samples;

    fn shapes() -> Vec<std::sync::Arc<Grant>> {
        Samples::new().every_shape().unwrap()
    }

    #[test]
    fn every_shape_of_a_grant_is_read_back_as_it_was() {
        for grant in shapes() {
            let text = grant.to_stored();
            assert_eq!(Grant::from_stored(&text).unwrap(), *grant, "{text}");
            assert!(!text.contains("null"), "{text}");
        }
    }

    /// A grant of each shape, one a line, as format 1 was written when it was new.
    const FIXTURES: &str = include_str!("../../tests/fixtures/grants-format-1.jsonl");

    #[test]
    fn the_format_is_read_and_written_as_it_was() {
        assert!(FIXTURES.lines().count() >= shapes().len());
        for line in FIXTURES.lines() {
            assert_eq!(Grant::from_stored(line).unwrap().to_stored(), line);
        }
    }

    #[test]
    fn a_newer_record_is_out_of_reach_and_not_damaged() {
        for text in [r#"{"format":2,"restricts":["all"]}"#, r#"{"id":7,"format":4000000000}"#] {
            let error = Grant::from_stored(text).unwrap_err();
            assert!(matches!(error, InvalidRecord::Newer { .. }), "{error}");
            assert_eq!(StoreError::from(error).kind(), StoreErrorKind::Unavailable);
        }
    }

    #[test]
    fn what_is_cut_or_changed_is_damaged_and_never_another_grant() {
        for grant in shapes() {
            let text = grant.to_stored();
            for end in (0..text.len()).filter(|end| text.is_char_boundary(*end)) {
                let error = Grant::from_stored(&text[..end]).unwrap_err();
                assert!(matches!(error, InvalidRecord::Damaged(_)), "{error}");
            }
            let unknown = text.replacen('{', r#"{"restricts":true,"#, 1);
            assert_eq!(
                StoreError::from(Grant::from_stored(&unknown).unwrap_err()).kind(),
                StoreErrorKind::Other
            );
        }
        let code = shapes().into_iter().find(|grant| matches!(grant.state, State::CodeIssued(_))).unwrap();
        let active = shapes().into_iter().find(|grant| grant.refreshes_left().is_some()).unwrap();
        let mut both: serde_json::Value = serde_json::from_str(&code.to_stored()).unwrap();
        let other: serde_json::Value = serde_json::from_str(&active.to_stored()).unwrap();
        both["access"] = other["access"].clone();
        assert!(Grant::from_stored(&both.to_string()).is_err());
        both["access"] = serde_json::json!([]);
        assert!(Grant::from_stored(&both.to_string()).is_ok());
        both["refresh"] = other["refresh"].clone();
        assert!(Grant::from_stored(&both.to_string()).is_err());
    }
}
