//! The file system calls that staging needs.

use crate::{PackageError, layout};
use std::fs::File;
use std::path::Path;

/// The folder that a path is in.
pub(super) fn parent_of(path: &Path) -> &Path {
    path.parent()
        .filter(|parent| *parent != Path::new(""))
        .unwrap_or(Path::new("."))
}

/// An error of making a temporary file or folder, without its name, which says nothing to a user.
pub(super) fn unnamed(error: std::io::Error) -> std::io::Error {
    match error.get_ref() {
        Some(_) => error.kind().into(),
        None => error,
    }
}

/// Writes a folder through to the disk, so that a power cut cannot undo it.
pub(super) fn sync(folder: &Path) -> Result<(), PackageError> {
    for entry in std::fs::read_dir(folder).map_err(PackageError::read(folder))? {
        let path = entry.map_err(PackageError::read(folder))?.path();
        if path.is_dir() {
            sync(&path)?;
            continue;
        }
        // A copy of a read-only file is read-only too, which not every system lets one sync.
        let writable = File::options().write(true).open(&path);
        let synced = writable
            .or_else(|_| File::open(&path))
            .and_then(|file| file.sync_all());
        synced.map_err(PackageError::write(&path))?;
    }
    sync_folder(folder);
    Ok(())
}

/// Syncs the entries of a folder; ignored where the system does not support it.
pub(super) fn sync_folder(folder: &Path) {
    let _ = File::open(folder).and_then(|folder| folder.sync_all());
}

/// Removes a file, or a folder with its content.
pub(super) fn remove(path: &Path) -> std::io::Result<()> {
    if path.is_dir() {
        std::fs::remove_dir_all(path)
    } else {
        std::fs::remove_file(path)
    }
}

/// Gives a temporary folder, which is private, the mode of any other: that which the umask of the
/// process, and the parent's group, give a new folder in it.
pub(super) fn set_readable(path: &Path) -> std::io::Result<()> {
    let model = path.join(layout::PARTIAL_PREFIX);
    std::fs::create_dir(&model)?;
    let permissions = std::fs::metadata(&model)?.permissions();
    std::fs::remove_dir(&model)?;
    std::fs::set_permissions(path, permissions)
}
