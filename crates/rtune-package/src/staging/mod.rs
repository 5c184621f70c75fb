//! Folders and files that appear complete or not at all.

mod disk;
mod file;
mod leftovers;
mod target;

pub use file::StagedFile;
pub use target::is_within;

use crate::{Kind, Marker, PackageError, layout};
use std::fs::File;
use std::path::{Path, PathBuf};

/// A folder that appears at its target complete or not at all.
///
/// Files are written to a hidden folder beside the target; [`Staging::commit`] writes the folder's
/// [`Marker`] and moves it into place. A staging that is dropped instead removes its files.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use rtune_package::{Kind, Marker, Staging};
///
/// let folder = tempfile::tempdir()?;
/// let target = folder.path().join("onnx");
/// let staging = Staging::new(&target, false, &[])?;
/// std::fs::write(staging.path().join("model.onnx"), "")?;
/// assert!(!target.exists());
/// staging.commit(Kind::Onnx)?;
/// assert!(target.join("model.onnx").is_file());
/// assert_eq!(Marker::read(&target)?, Some(Marker::new(Kind::Onnx, ["model.onnx"])));
///
/// // An earlier output is replaced only if `force` is set.
/// assert!(Staging::new(&target, false, &[]).is_err());
/// assert!(Staging::new(&target, true, &[]).is_ok());
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Staging {
    folder: tempfile::TempDir,
    target: PathBuf,
    /// Lock held while writing; an unlocked partial folder is left over from a killed process.
    _lock: Option<File>,
}

impl Staging {
    /// Name prefix of folders that are not complete yet.
    pub const PARTIAL: &'static str = layout::PARTIAL_PREFIX;

    /// Checks that `target` may be written: it must not exist or be empty, unless `force` allows
    /// to replace it. Even then it must be an earlier output, without any other file and with none
    /// of `inputs` in it: a slip of the hand must not cost a home folder.
    ///
    /// # Errors
    /// If the target is occupied.
    pub fn check_target(target: &Path, force: bool, inputs: &[&Path]) -> Result<(), PackageError> {
        target::check(target, force, inputs)
    }

    /// Prepares to write `target`, which must pass [`Staging::check_target`].
    ///
    /// # Errors
    /// If the target is occupied, or its parent cannot be written.
    pub fn new(target: &Path, force: bool, inputs: &[&Path]) -> Result<Self, PackageError> {
        leftovers::remove_of(target);
        Self::check_target(target, force, inputs)?;
        // `.` and other spellings have no usable parent until they are resolved.
        let target = target.canonicalize().unwrap_or_else(|_| target.to_owned());
        let parent = disk::parent_of(&target).to_owned();
        std::fs::create_dir_all(&parent).map_err(PackageError::write(&parent))?;
        target::check_replaceable(&target)?;
        let name = target.file_name().unwrap_or_default().to_string_lossy();
        let folder = tempfile::Builder::new()
            .prefix(&format!("{}{name}-", Self::PARTIAL))
            .tempdir_in(&parent)
            .map_err(|error| PackageError::write(&target)(disk::unnamed(error)))?;
        let lock = File::open(folder.path())
            .ok()
            .filter(|folder| folder.try_lock().is_ok());
        Ok(Self {
            folder,
            target,
            _lock: lock,
        })
    }

    /// Removes partial folders in `folder` whose writers were killed.
    ///
    /// # Errors
    /// If one cannot be removed.
    pub fn remove_leftovers(folder: &Path) -> Result<(), PackageError> {
        leftovers::remove_in(folder)
    }

    /// The folder to write to.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Writes the marker and moves the folder into place.
    ///
    /// # Errors
    /// If the folder cannot be moved; the earlier output is then still in place.
    pub fn commit(self, kind: Kind) -> Result<(), PackageError> {
        let Self {
            folder,
            target,
            _lock,
        } = self;
        Marker::of_folder(kind, folder.path())?.write(folder.path())?;
        disk::set_readable(folder.path()).map_err(PackageError::write(folder.path()))?;
        disk::sync(folder.path())?;
        // The old folder moves aside first, so that a crash in between loses neither.
        let name = folder.path().file_name().unwrap_or_default();
        let unique = name.to_string_lossy().replace(Self::PARTIAL, "");
        let old = folder
            .path()
            .with_file_name(format!("{}{unique}", layout::OLD_PREFIX));
        let replaces = target.exists();
        if replaces {
            std::fs::rename(&target, &old).map_err(PackageError::write(&target))?;
        }
        if let Err(source) = std::fs::rename(folder.path(), &target) {
            if replaces {
                std::fs::rename(&old, &target).map_err(PackageError::write(&target))?;
            }
            let kept = keep(folder, &unique);
            let path = target;
            return Err(PackageError::Kept { path, kept, source });
        }
        disk::sync_folder(disk::parent_of(&target));
        // The folder has moved; there is nothing left for the guard to remove.
        let _ = folder.keep();
        if replaces {
            disk::remove(&old).map_err(PackageError::write(old))?;
        }
        Ok(())
    }
}

/// Keeps an output that cannot be moved into place, for hours of work may be in it, under a name
/// that no later command removes.
fn keep(folder: tempfile::TempDir, unique: &str) -> PathBuf {
    let written = folder.keep();
    let kept = written.with_file_name(format!("rtune-output-{unique}"));
    match std::fs::rename(&written, &kept) {
        Ok(()) => kept,
        Err(_) => written,
    }
}

#[cfg(test)]
mod tests;
