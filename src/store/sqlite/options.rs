use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::Connection;

use super::{SqliteOpenError, SqliteStore, file};

/// Settings of a [`SqliteStore`] that is yet to be opened.
///
/// ```
/// use std::time::Duration;
///
/// use grantor::store::SqliteStore;
///
/// # let directory = std::env::temp_dir().join(format!("grantor-options-{}", std::process::id()));
/// # std::fs::create_dir_all(&directory)?;
/// # let path = directory.join("grants.db");
/// let store = SqliteStore::builder(path)
///     .readers(4)
///     .busy_timeout(Duration::from_secs(2))
///     .largest_file(4 << 30)
///     .open()?;
/// # drop(store);
/// # std::fs::remove_dir_all(&directory)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct SqliteStoreBuilder {
    path: PathBuf,
    pub(super) readers: usize,
    pub(super) busy_timeout: Duration,
    pub(super) queue: usize,
    pub(super) largest_file: Option<u64>,
}

impl SqliteStoreBuilder {
    pub(super) fn new(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
            readers: 2,
            busy_timeout: Duration::from_secs(5),
            queue: 4096,
            largest_file: None,
        }
    }

    /// How many threads read for requests: 1 to 64, else the nearest of these; 2 unless set.
    pub fn readers(mut self, count: usize) -> Self {
        self.readers = count.clamp(1, 64);
        self
    }

    /// How long to wait for another process that holds the file, up to a minute; 5 seconds
    /// unless set. After that, a call fails as unavailable.
    pub fn busy_timeout(mut self, timeout: Duration) -> Self {
        self.busy_timeout = timeout.min(Duration::from_secs(60));
        self
    }

    /// How many writes, and how many reads, may wait at a time, at least 1; 4096 unless set.
    /// Those beyond fail as unavailable.
    pub fn queue(mut self, length: usize) -> Self {
        self.queue = length.max(1);
        self
    }

    /// The largest size of the file, in bytes; without limit unless set. It is kept to whole
    /// pages of 4096 bytes, and does not count the log beside the file. A file that is larger
    /// already does not grow. Without room for a record,
    /// [`insert`](crate::store::TokenStore::insert) answers
    /// [`Full`](crate::store::Insert::Full).
    pub fn largest_file(mut self, bytes: u64) -> Self {
        self.largest_file = Some(bytes);
        self
    }

    /// Opens the store: see [`SqliteStore::open`].
    ///
    /// # Errors
    /// When the file cannot be used as it is; see [`SqliteOpenError`].
    pub fn open(self) -> Result<SqliteStore, SqliteOpenError> {
        self.open_holding(None)
    }

    /// Keeps `held` open until the last write is done.
    pub(in crate::store) fn open_holding(
        self,
        held: Option<Connection>,
    ) -> Result<SqliteStore, SqliteOpenError> {
        // To SQLite, names such as `:memory:` and the empty one are no files.
        let path = std::path::absolute(&self.path)?;
        file::create_if_missing(&path)?;
        SqliteStore::start(path, &self, held)
    }
}
