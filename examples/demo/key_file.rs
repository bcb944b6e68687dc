//! The server key beside a durable store: made at the first start, and kept.

use std::fmt::Write as _;
use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use grantor::{Entropy as _, SystemEntropy};

use super::config::{InvalidConfig, KeyBytes};

/// The key in `PATH.key`.
pub(super) fn read_or_make(store: &Path) -> Result<KeyBytes, InvalidConfig> {
    let path = with_suffix(store, ".key");
    let wrong = |problem: &dyn std::fmt::Display| {
        InvalidConfig::new("store", format_args!("{}: {problem}", path.display()))
    };
    if !path.try_exists().map_err(|error| wrong(&error))? {
        make(&path).map_err(|error| wrong(&error))?;
    }
    let text = fs::read_to_string(&path).map_err(|error| wrong(&error))?;
    KeyBytes::from_hex(text.trim()).ok_or_else(|| wrong(&"it is not 64 hexadecimal digits"))
}

/// Written whole or not at all; another process may be doing the same, and one of the two
/// keys stays.
fn make(path: &Path) -> io::Result<()> {
    let bytes = SystemEntropy.draw().map_err(io::Error::other)?;
    let mut text = String::new();
    for byte in bytes {
        let _ = write!(text, "{byte:02x}");
    }
    let draft = with_suffix(path, &format!(".{}", std::process::id()));
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&draft)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    let linked = fs::hard_link(&draft, path);
    fs::remove_file(&draft)?;
    linked.or_else(|error| if error.kind() == io::ErrorKind::AlreadyExists { Ok(()) } else { Err(error) })
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}
