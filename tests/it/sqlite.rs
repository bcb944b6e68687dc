//! The store on `SQLite`: the contract, the protocol on it, and what happens to its file.

mod contract;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use grantor::store::SqliteStore;

/// A directory that is removed with what is in it.
struct Directory(PathBuf);

impl Directory {
    fn new() -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let name = format!("sqlite-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
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
