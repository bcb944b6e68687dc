use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::Path;

/// Makes an empty file for its owner alone, unless there is a file. What `SQLite` puts
/// beside it gets the same permissions.
pub(super) fn create_if_missing(path: &Path) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    match options.open(path) {
        Ok(file) => {
            file.sync_all()?;
            sync_directory(path)
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        // Such as a read-only file system: what matters is whether the file is there.
        Err(error) => fs::metadata(path).map(drop).map_err(|_| error),
    }
}

/// The name of a new file is on the disk when its directory is.
fn sync_directory(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(directory) if cfg!(unix) => File::open(directory)?.sync_all(),
        _ => Ok(()),
    }
}
