//! The store on `SQLite`: the contract, the protocol on it, and what happens to its file.

mod contract;
mod crash;
mod disk_full;
mod file;
mod newer_record;
mod protocol;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use grantor::store::{ClientRegistry as _, MemoryClientStore, SqliteStore, TokenStore};
use grantor::testing::{SeededEntropy, block_on};

use crate::support::{Harness, Setup, users_with_alice};

/// A directory that is removed with what is in it.
pub(crate) struct Directory(PathBuf);

impl Directory {
    pub(crate) fn new() -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let name = format!("sqlite-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub(crate) fn file(&self) -> PathBuf {
        self.0.join("grants.db")
    }

    /// What `SQLite` calls so.
    pub(crate) fn beside(&self, suffix: &str) -> PathBuf {
        self.0.join(format!("grants.db{suffix}"))
    }

    fn open(&self) -> SqliteStore {
        SqliteStore::open(self.file()).unwrap()
    }

    /// A store in a file of its own.
    fn new_store(&self) -> SqliteStore {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let name = format!("{}.db", COUNT.fetch_add(1, Ordering::Relaxed));
        SqliteStore::open(self.0.join(name)).unwrap()
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A small file system in memory, of a process that may mount one.
struct Mount(Directory);

impl Mount {
    fn new(size: &str) -> Option<Self> {
        let directory = Directory::new();
        let options = format!("size={size},mode=700");
        let path = directory.0.to_str().unwrap();
        let is_mounted = command("mount", &["-t", "tmpfs", "-o", &options, "tmpfs", path]);
        if !is_mounted {
            #[expect(clippy::print_stdout, reason = "a test that is skipped says so")]
            {
                println!("skipped: a file system cannot be mounted here");
            }
        }
        is_mounted.then_some(Self(directory))
    }

    fn path(&self) -> &Path {
        &self.0.0
    }

    fn remount_read_only(&self) -> bool {
        command("mount", &["-o", "remount,ro", self.path().to_str().unwrap()])
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        command("umount", &["-l", self.path().to_str().unwrap()]);
    }
}

fn command(program: &str, arguments: &[&str]) -> bool {
    Command::new(program).args(arguments).output().is_ok_and(|output| output.status.success())
}

/// Tries for twenty seconds.
fn until(mut condition: impl FnMut() -> bool) -> bool {
    (0..2000).any(|_| {
        std::thread::sleep(Duration::from_millis(10));
        condition()
    })
}

/// A server with all its stores in `store`. Two on one file need different seeds.
fn server(store: SqliteStore, seed: u64) -> Harness {
    server_on(Setup::default(), store.clone(), store, seed)
}

/// A server whose grants are in `tokens`, which may be a wrapper of `store`.
fn server_on(setup: Setup, store: SqliteStore, tokens: impl TokenStore, seed: u64) -> Harness {
    for client in &setup.clients {
        block_on(store.put_client(client.clone())).unwrap();
    }
    let unused = Arc::new(MemoryClientStore::new());
    setup.build_with(store, tokens, unused, |builder| {
        builder.users(users_with_alice()).entropy(SeededEntropy::new(seed))
    })
}

/// A store with so many more grants.
fn filled(directory: &Directory, count: usize) -> SqliteStore {
    let store = directory.open();
    let server = server(store.clone(), 1);
    (0..count).for_each(|_| drop(server.token("grant_type=client_credentials").ok()));
    store
}
