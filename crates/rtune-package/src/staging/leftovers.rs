//! Removal of folders that killed processes left.

use super::disk;
use crate::{PackageError, layout};
use std::fs::File;
use std::path::Path;

/// Number of characters by which tempfile makes names unique.
const UNIQUE: usize = 6;

/// Returns true if no process holds the folder's lock, false if the file system has no locks.
fn is_unlocked(folder: &Path) -> bool {
    File::open(folder).is_ok_and(|folder| folder.try_lock().is_ok())
}

/// Removes the partial folders in `folder` that no process writes to.
pub(super) fn remove_in(folder: &Path) -> Result<(), PackageError> {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with(layout::PARTIAL_PREFIX) && is_unlocked(&entry.path()) {
            disk::remove(&entry.path()).map_err(PackageError::write(entry.path()))?;
        }
    }
    Ok(())
}

/// Clears up after killed processes that wrote to `target`: removes partial folders, and moves an
/// earlier output back if nothing has taken its place.
///
/// Errors are ignored: another process may be doing the same at this moment.
pub(super) fn remove_of(target: &Path) {
    let name = target.file_name().unwrap_or_default().to_string_lossy();
    let is_of = |found: &str, prefix: &str| {
        found
            .strip_prefix(&format!("{prefix}{name}-"))
            .is_some_and(|unique| unique.chars().count() == UNIQUE)
    };
    let entries = std::fs::read_dir(disk::parent_of(target));
    for entry in entries.into_iter().flatten().flatten() {
        let path = entry.path();
        let found = entry.file_name().to_string_lossy().into_owned();
        if is_of(&found, layout::PARTIAL_PREFIX) && is_unlocked(&path) {
            let _ = disk::remove(&path);
        }
        // The kill came before or after the new folder took the place of this one.
        if is_of(&found, layout::OLD_PREFIX) {
            let _ = if target.exists() {
                disk::remove(&path)
            } else {
                std::fs::rename(&path, target)
            };
        }
    }
}
