//! Which grants there are: sorted sets, whose members have no scores and are in the order of their
//! bytes.
//!
//! Members are added before a record is, and taken out after it is gone, so that they may dangle
//! and never lack. One that dangles for longer than any request takes is cleared away.

use std::time::Duration;

use redis::{Cmd, cmd};

use crate::clock::Timestamp;
use crate::grant::Grant;
use crate::id::{ClientId, GrantId, Subject};

/// How many sets share all grants.
pub(super) const SHARDS: u8 = 16;
/// Requests are over by then, whatever has become of them.
const SETTLED: Duration = Duration::from_secs(3600);

/// The keys of one store.
pub(super) struct Keys {
    prefix: String,
}

/// A member of the sets of all grants: enough to find it in the others.
pub(super) struct Entry {
    pub(super) id: GrantId,
    began_at: u64,
    client: Vec<u8>,
    subject: Option<Vec<u8>>,
}

impl Keys {
    pub(super) fn new(prefix: String) -> Self {
        Self { prefix }
    }

    pub(super) fn grant(&self, id: GrantId) -> String {
        format!("{}g:{id}", self.prefix)
    }

    /// All registrations are in one slot.
    pub(super) fn registration(&self, name: &str) -> String {
        format!("{}{{r}}:{name}", self.prefix)
    }

    pub(super) fn of_client(&self, client: &ClientId) -> Vec<u8> {
        self.named("c:", client.as_str().as_bytes())
    }

    pub(super) fn of_subject(&self, subject: &Subject) -> Vec<u8> {
        self.named("s:", subject.as_str().as_bytes())
    }

    fn named(&self, kind: &str, name: &[u8]) -> Vec<u8> {
        [self.prefix.as_bytes(), kind.as_bytes(), name].concat()
    }

    /// The sets of all grants, in the order of the ids that are in them.
    pub(super) fn all(&self) -> impl Iterator<Item = Vec<u8>> {
        (0..SHARDS).map(|shard| self.shard(shard))
    }

    pub(super) fn shard(&self, shard: u8) -> Vec<u8> {
        self.named("a:", format!("{:x}", shard % SHARDS).as_bytes())
    }

    pub(super) const fn shard_of(id: GrantId) -> u8 {
        let [first, ..] = *id.as_bytes();
        first / (u8::MAX / SHARDS + 1)
    }

    pub(super) fn add(&self, grant: &Grant) -> [Option<Cmd>; 3] {
        self.each(&Entry::of(grant), |set, member| {
            let mut add = cmd("ZADD");
            add.arg(set).arg(0).arg(member);
            add
        })
    }

    /// Out of the set of all at last, which the others can be found from.
    pub(super) fn remove(&self, entry: &Entry) -> [Option<Cmd>; 3] {
        self.each(entry, |set, member| {
            let mut remove = cmd("ZREM");
            remove.arg(set).arg(member);
            remove
        })
    }

    /// For the set of the client, that of the subject if there is one, and that of all.
    fn each(&self, entry: &Entry, command: impl Fn(&[u8], &[u8]) -> Cmd) -> [Option<Cmd>; 3] {
        let id = entry.id.as_bytes();
        let all = command(&self.shard(Self::shard_of(entry.id)), &entry.write());
        let of_client = command(&self.named("c:", &entry.client), id);
        let of_subject = entry.subject.as_ref().map(|subject| command(&self.named("s:", subject), id));
        [Some(of_client), of_subject, Some(all)]
    }
}

impl Entry {
    pub(super) fn of(grant: &Grant) -> Self {
        Self {
            id: grant.id(),
            began_at: grant.began_at().as_millis(),
            client: grant.client().as_str().as_bytes().to_vec(),
            subject: grant.subject().map(|subject| subject.as_str().as_bytes().to_vec()),
        }
    }

    /// Its record, if it is not there, will not come any more.
    pub(super) fn is_settled(&self, now: Timestamp) -> bool {
        self.began_at < now.minus(SETTLED).as_millis()
    }

    fn write(&self) -> Vec<u8> {
        let mut member = self.id.as_bytes().to_vec();
        member.extend_from_slice(&self.began_at.to_be_bytes());
        member.extend_from_slice(&self.client);
        if let Some(subject) = &self.subject {
            // Neither has it.
            member.push(0);
            member.extend_from_slice(subject);
        }
        member
    }

    pub(super) fn read(member: &[u8]) -> Option<Self> {
        let (id, rest) = member.split_first_chunk::<16>()?;
        let (began_at, rest) = rest.split_first_chunk::<8>()?;
        let mut names = rest.splitn(2, |byte| *byte == 0);
        Some(Self {
            id: GrantId::from_bytes(*id),
            began_at: u64::from_be_bytes(*began_at),
            client: names.next()?.to_vec(),
            subject: names.next().map(<[u8]>::to_vec),
        })
    }
}

/// A page of a set: what comes after this id.
pub(super) fn page(set: &[u8], after: Option<GrantId>, limit: usize) -> Cmd {
    let start = match after {
        // All that begins with the id is before it.
        Some(id) => [b"(".as_slice(), id.as_bytes(), &[0xff; 9]].concat(),
        None => b"-".to_vec(),
    };
    let mut page = cmd("ZRANGEBYLEX");
    page.arg(set).arg(start).arg("+").arg("LIMIT").arg(0).arg(limit);
    page
}
