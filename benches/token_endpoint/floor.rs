//! The floor: the same four operations with only what cannot be left out, on the libraries
//! that everybody uses for it (`form_urlencoded`, `serde_json`, `hashbrown`).
//!
//! It refuses nothing but what would let a wrong request through, never retries, reads no
//! clock, sends no events, knows no settings, and cannot be extended. A token is
//! `base64url(id, 16 bytes ‖ secret, 16 bytes)`: one draw of 32 bytes makes one, or the
//! access and the refresh secret of a grant that has its id already.
//!
//! | operation | what cannot be left out |
//! |---|---|
//! | issue | parse the form, look the client up, SHA-256 and compare its secret, draw 32 bytes, encode, hash, insert into a sharded map, write the JSON |
//! | exchange | parse, client, secret, decode the code, hash, PKCE hash, draw, hash both tokens; under one lock look up, compare code, redirect URI and challenge, and replace; encode both, JSON |
//! | refresh | parse, client, secret, decode, hash, draw, hash both tokens; under one lock look up, compare with the current and the previous one, and replace; encode both, JSON |
//! | introspection | decode, hash, look up, compare, expiry, client lookup |

use std::borrow::Cow;
use std::cell::Cell;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use grantor::{Entropy as _, SystemEntropy};
use hashbrown::{HashMap, HashTable};
use parking_lot::{Mutex, RwLock};
use serde::Serialize;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use crate::server::{Post, REDIRECT_URI, Registration, SCOPE, Server, VERIFIER};

type Id = [u8; 16];
type Bytes32 = [u8; 32];

const HOUR: u64 = 3600;

/// Where the floor's 32 bytes come from.
pub(crate) trait Random: 'static {
    fn draw(&self) -> Bytes32;
}

/// The cheapest that passes for randomness; what it makes can be guessed.
pub(crate) struct UserSpace(Cell<u64>);

impl Default for UserSpace {
    fn default() -> Self {
        Self(Cell::new(0x9e37_79b9_7f4a_7c15))
    }
}

impl Random for UserSpace {
    fn draw(&self) -> Bytes32 {
        let mut bytes = [0; 32];
        for word in bytes.as_chunks_mut::<8>().0 {
            // splitmix64
            let state = self.0.get().wrapping_add(0x9e37_79b9_7f4a_7c15);
            self.0.set(state);
            let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            *word = (mixed ^ (mixed >> 31)).to_ne_bytes();
        }
        bytes
    }
}

/// The operating system, as grantor asks it.
#[derive(Default)]
pub(crate) struct System;

impl Random for System {
    fn draw(&self) -> Bytes32 {
        SystemEntropy.draw().unwrap()
    }
}

pub(crate) struct Floor<R> {
    clients: RwLock<HashMap<Arc<str>, Client>>,
    shards: Box<[Mutex<HashTable<Record>>]>,
    random: R,
    now: Cell<u64>,
}

struct Client {
    name: Arc<str>,
    secret: Bytes32,
    scopes: Vec<Arc<str>>,
}

struct Record {
    id: Id,
    client: Arc<str>,
    scope: Arc<str>,
    expires_at: u64,
    state: State,
}

enum State {
    Access(Bytes32),
    Code { code: Bytes32, challenge: Bytes32, redirect_uri: Arc<str> },
    Session(Box<Session>),
}

struct Session {
    access: Bytes32,
    refresh: Bytes32,
    previous: Option<Bytes32>,
    refresh_expires_at: u64,
}

#[derive(Default)]
struct Form<'a> {
    grant_type: Cow<'a, str>,
    scope: Cow<'a, str>,
    code: Cow<'a, str>,
    code_verifier: Cow<'a, str>,
    redirect_uri: Cow<'a, str>,
    refresh_token: Cow<'a, str>,
}

impl<R: Random + Default> Floor<R> {
    pub(crate) fn new(registrations: &[Registration]) -> Self {
        let client = |own: &Registration| Client {
            name: own.id.as_str().into(),
            secret: digest(own.secret.as_bytes()),
            scopes: SCOPE.split(' ').map(Arc::from).collect(),
        };
        let clients = registrations.iter().map(|own| (own.id.as_str().into(), client(own))).collect();
        let shards = std::iter::repeat_with(Mutex::default).take(256).collect();
        Self { clients: RwLock::new(clients), shards, random: R::default(), now: Cell::new(0) }
    }
}

impl<R: Random> Server for Floor<R> {
    type Reply = Vec<u8>;
    type Introspection = (Arc<str>, Arc<str>, u64);

    fn token(&self, post: &Post) -> Vec<u8> {
        let form = parse(&post.body).unwrap();
        let clients = self.clients.read();
        let client = authenticate(&clients, &post.authorization).unwrap();
        match &*form.grant_type {
            "client_credentials" => self.issue(client, &form),
            "authorization_code" => self.exchange(client, &form),
            "refresh_token" => self.refresh(client, &form),
            _ => None,
        }
        .unwrap()
    }

    fn body(reply: &Vec<u8>) -> &[u8] {
        reply
    }

    fn code(&self, client: &Registration) -> String {
        let token = self.random.draw();
        let state = State::Code {
            code: digest(&token),
            challenge: digest(VERIFIER.as_bytes()),
            redirect_uri: REDIRECT_URI.into(),
        };
        let clients = self.clients.read();
        let client = clients.get(client.id.as_str()).unwrap();
        self.insert(&token, client, Arc::clone(&client.scopes[0]), state);
        URL_SAFE_NO_PAD.encode(token)
    }

    fn introspect(&self, token: &str) -> Option<Self::Introspection> {
        let token = decode(token)?;
        let digest = digest(&token);
        let shard = self.shard(id_of(&token)).lock();
        let record = find(&shard, id_of(&token))?;
        let access = match &record.state {
            State::Access(access) => access,
            State::Session(session) => &session.access,
            State::Code { .. } => return None,
        };
        let live = self.now.get() < record.expires_at && same(access, &digest);
        let known = self.clients.read().contains_key(&*record.client);
        (live && known).then(|| (Arc::clone(&record.client), Arc::clone(&record.scope), record.expires_at))
    }

    fn revoke(&self, token: &str) {
        let id = id_of(&decode(token).unwrap());
        let mut shard = self.shard(id).lock();
        shard.find_entry(hash_of(id), |record| record.id == id).ok().unwrap().remove();
    }

    fn pass_an_hour(&self) {
        self.now.set(self.now.get() + HOUR);
    }
}

impl<R: Random> Floor<R> {
    fn issue(&self, client: &Client, form: &Form<'_>) -> Option<Vec<u8>> {
        let scope = client.scopes.iter().find(|own| ***own == *form.scope)?;
        let token = self.random.draw();
        self.insert(&token, client, Arc::clone(scope), State::Access(digest(&token)));
        Some(json(&token, None, scope))
    }

    fn exchange(&self, client: &Client, form: &Form<'_>) -> Option<Vec<u8>> {
        let presented = decode(&form.code)?;
        let (id, code) = (id_of(&presented), digest(&presented));
        let verifier = digest(form.code_verifier.as_bytes());
        let (access, refresh) = self.two_tokens(id);
        let next = Session {
            access: digest(&access),
            refresh: digest(&refresh),
            previous: None,
            refresh_expires_at: self.now.get() + 24 * HOUR,
        };
        let scope = {
            let mut shard = self.shard(id).lock();
            let record = find_mut(&mut shard, id)?;
            let State::Code { code: own, challenge, redirect_uri } = &record.state else { return None };
            let right = same(own, &code)
                && same(challenge, &verifier)
                && **redirect_uri == *form.redirect_uri
                && record.client == client.name
                && self.now.get() < record.expires_at;
            if !right {
                return None;
            }
            record.state = State::Session(Box::new(next));
            record.expires_at = self.now.get() + HOUR;
            Arc::clone(&record.scope)
        };
        Some(json(&access, Some(&refresh), &scope))
    }

    fn refresh(&self, client: &Client, form: &Form<'_>) -> Option<Vec<u8>> {
        let presented = decode(&form.refresh_token)?;
        let (id, digest_of_presented) = (id_of(&presented), digest(&presented));
        let (access, refresh) = self.two_tokens(id);
        let (access_digest, refresh_digest) = (digest(&access), digest(&refresh));
        let scope = {
            let mut shard = self.shard(id).lock();
            let record = find_mut(&mut shard, id)?;
            let State::Session(session) = &mut record.state else { return None };
            if session.previous.is_some_and(|previous| same(&previous, &digest_of_presented)) {
                shard.find_entry(hash_of(id), |record| record.id == id).ok()?.remove();
                return None;
            }
            let right = same(&session.refresh, &digest_of_presented)
                && record.client == client.name
                && self.now.get() < session.refresh_expires_at;
            if !right {
                return None;
            }
            session.previous = Some(session.refresh);
            session.access = access_digest;
            session.refresh = refresh_digest;
            session.refresh_expires_at = self.now.get() + 24 * HOUR;
            record.expires_at = self.now.get() + HOUR;
            Arc::clone(&record.scope)
        };
        Some(json(&access, Some(&refresh), &scope))
    }

    fn insert(&self, token: &Bytes32, client: &Client, scope: Arc<str>, state: State) {
        let (id, client) = (id_of(token), Arc::clone(&client.name));
        let record = Record { id, client, scope, expires_at: self.now.get() + HOUR, state };
        self.shard(id).lock().insert_unique(hash_of(id), record, |record| hash_of(record.id));
    }

    /// One draw is enough for two secrets of 16 bytes.
    fn two_tokens(&self, id: Id) -> (Bytes32, Bytes32) {
        let [mut access, mut refresh] = [self.random.draw(); 2];
        access[..16].copy_from_slice(&id);
        refresh.copy_within(..16, 16);
        refresh[..16].copy_from_slice(&id);
        (access, refresh)
    }

    fn shard(&self, id: Id) -> &Mutex<HashTable<Record>> {
        &self.shards[usize::from(id[0])]
    }
}

fn find(shard: &HashTable<Record>, id: Id) -> Option<&Record> {
    shard.find(hash_of(id), |record| record.id == id)
}

fn find_mut(shard: &mut HashTable<Record>, id: Id) -> Option<&mut Record> {
    shard.find_mut(hash_of(id), |record| record.id == id)
}

fn parse(body: &[u8]) -> Option<Form<'_>> {
    let mut form = Form::default();
    for (name, value) in form_urlencoded::parse(body) {
        let slot = match &*name {
            "grant_type" => &mut form.grant_type,
            "scope" => &mut form.scope,
            "code" => &mut form.code,
            "code_verifier" => &mut form.code_verifier,
            "redirect_uri" => &mut form.redirect_uri,
            "refresh_token" => &mut form.refresh_token,
            _ => continue,
        };
        if !slot.is_empty() {
            return None;
        }
        *slot = value;
    }
    Some(form)
}

fn authenticate<'c>(clients: &'c HashMap<Arc<str>, Client>, header: &[u8]) -> Option<&'c Client> {
    let mut bytes = [0; 256];
    let length = STANDARD.decode_slice(header.strip_prefix(b"Basic ")?, &mut bytes).ok()?;
    let (name, secret) = str::from_utf8(&bytes[..length]).ok()?.split_once(':')?;
    clients.get(name).filter(|client| same(&client.secret, &digest(secret.as_bytes())))
}

fn decode(token: &str) -> Option<Bytes32> {
    let mut bytes = [0; 32];
    (URL_SAFE_NO_PAD.decode_slice(token, &mut bytes).ok()? == 32).then_some(bytes)
}

#[derive(Serialize)]
struct Reply<'a> {
    access_token: &'a str,
    token_type: &'static str,
    expires_in: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    refresh_token: Option<&'a str>,
    scope: &'a str,
}

fn json(access: &Bytes32, refresh: Option<&Bytes32>, scope: &str) -> Vec<u8> {
    let access = URL_SAFE_NO_PAD.encode(access);
    let refresh = refresh.map(|refresh| URL_SAFE_NO_PAD.encode(refresh));
    let reply = Reply {
        access_token: &access,
        token_type: "Bearer",
        expires_in: HOUR,
        refresh_token: refresh.as_deref(),
        scope,
    };
    serde_json::to_vec(&reply).unwrap()
}

fn digest(bytes: &[u8]) -> Bytes32 {
    Sha256::digest(bytes).into()
}

/// Four words compare faster than 32 bytes, and as blindly.
fn same(one: &Bytes32, other: &Bytes32) -> bool {
    let words = |bytes: &Bytes32| -> [u64; 4] {
        let (words, _) = bytes.as_chunks::<8>();
        std::array::from_fn(|at| u64::from_ne_bytes(words[at]))
    };
    words(one).as_slice().ct_eq(words(other).as_slice()).into()
}

fn id_of(token: &Bytes32) -> Id {
    *token.first_chunk().unwrap()
}

/// Ids are random: eight bytes of one are a hash.
fn hash_of(id: Id) -> u64 {
    u64::from_ne_bytes(*id.last_chunk().unwrap())
}
