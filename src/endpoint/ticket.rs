//! The consent ticket: a validated authorization request, sealed, so that nothing has to
//! be stored before the resource owner has decided.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::Mac as _;
use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::server_key::Subkeys;
use crate::token::Key;

/// How long a resource owner may take.
const LIFETIME: Duration = Duration::from_secs(600);
/// How far ahead the clock of the process that sealed it may be.
const CLOCK_SKEW: Duration = Duration::from_secs(60);
const MAC_BYTES: usize = 32;

/// What a ticket says. Everything in it has been checked.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Ticket {
    pub(super) client: String,
    pub(super) redirect_uri: String,
    /// Was it in the request, or is it the client's only one?
    pub(super) redirect_uri_sent: bool,
    pub(super) scope: String,
    pub(super) state: Option<String>,
    /// Method and value.
    pub(super) challenge: Option<(String, String)>,
    /// Is the answer to be posted?
    #[serde(default)]
    pub(super) form_post: bool,
    /// When the request began, in milliseconds.
    pub(super) began_at: u64,
}

impl Ticket {
    pub(super) fn seal(&self, keys: &Subkeys, session_binding: &[u8]) -> String {
        // Serializing plain texts into memory cannot fail.
        let mut bytes = serde_json::to_vec(self).unwrap_or_default();
        let mac = mac(&keys.current, session_binding, &bytes).finalize().into_bytes();
        bytes.extend_from_slice(&mac);
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// `None` if it is forged, for another session, or too old.
    pub(super) fn open(text: &str, keys: &Subkeys, session_binding: &[u8], now: Timestamp) -> Option<Self> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        let (payload, tag) = bytes.split_at_checked(bytes.len().checked_sub(MAC_BYTES)?)?;
        let is_ours = |key| mac(key, session_binding, payload).verify_slice(tag).is_ok();
        if !keys.iter().any(is_ours) {
            return None;
        }
        let ticket: Self = serde_json::from_slice(payload).ok()?;
        let began_at = Timestamp::from_millis(ticket.began_at);
        (now < began_at.plus(LIFETIME) && began_at <= now.plus(CLOCK_SKEW)).then_some(ticket)
    }
}

fn mac(key: &Key, session_binding: &[u8], payload: &[u8]) -> hmac::Hmac<sha2::Sha256> {
    let mut mac = key.mac();
    mac.update(&(session_binding.len() as u64).to_be_bytes());
    mac.update(session_binding);
    mac.update(payload);
    mac
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server_key::ServerKey;

    fn ticket() -> Ticket {
        Ticket {
            client: "c".into(),
            redirect_uri: "https://c.example/cb".into(),
            redirect_uri_sent: true,
            scope: "a b".into(),
            state: Some("s \"é".into()),
            challenge: Some(("S256".into(), "x".repeat(43))),
            form_post: false,
            began_at: 1_000_000,
        }
    }

    fn keys(byte: u8) -> Subkeys {
        ServerKey::from_bytes([byte; 32]).subkeys("test")
    }

    const NOW: Timestamp = Timestamp::from_millis(1_000_000);

    #[test]
    fn ae_18_a_ticket_opens_for_its_session_and_its_time_only() {
        let sealed = ticket().seal(&keys(1), b"session");
        let open = |keys: &Subkeys, session: &[u8], now| Ticket::open(&sealed, keys, session, now);
        assert_eq!(open(&keys(1), b"session", NOW), Some(ticket()));
        let rotated = ServerKey::from_bytes([2; 32]).with_previous([1; 32]).subkeys("test");
        assert_eq!(open(&rotated, b"session", NOW), Some(ticket()));
        assert_eq!(open(&keys(2), b"session", NOW), None);
        assert_eq!(open(&keys(1), b"sessioN", NOW), None);
        assert_eq!(open(&keys(1), b"session", NOW.plus(LIFETIME)), None);
        assert_eq!(open(&keys(1), b"session", NOW.minus(Duration::from_secs(61))), None);
    }

    #[test]
    fn each_changed_character_is_noticed() {
        let sealed = ticket().seal(&keys(1), b"session");
        for at in 0..sealed.len() {
            let mut bytes = sealed.clone().into_bytes();
            bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(bytes).unwrap();
            assert_eq!(Ticket::open(&changed, &keys(1), b"session", NOW), None, "at {at}");
        }
        for cut in ["", "AAAA", &sealed[..sealed.len() - 4]] {
            assert_eq!(Ticket::open(cut, &keys(1), b"session", NOW), None);
        }
    }
}
