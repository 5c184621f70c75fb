//! Files that appear complete or not at all.

use super::{disk, leftovers};
use crate::error::TargetProblem;
use crate::{PackageError, layout};
use std::io::Write;
use std::path::{Path, PathBuf};
use tempfile::NamedTempFile;

/// A file that appears at its target complete or not at all.
///
/// Bytes are written to a hidden file beside the target, which [`StagedFile::commit`] moves into
/// place. A file that is dropped instead is removed.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use rtune_package::StagedFile;
/// use std::io::Write as _;
///
/// let folder = tempfile::tempdir()?;
/// let target = folder.path().join("rows.csv");
/// let mut file = StagedFile::new(&target, false, &[])?;
/// file.write_all(b"text\n")?;
/// assert!(!target.exists());
/// file.commit()?;
/// assert_eq!(std::fs::read_to_string(&target)?, "text\n");
///
/// // An existing file is replaced only if `force` is set.
/// assert!(StagedFile::new(&target, false, &[]).is_err());
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct StagedFile {
    file: NamedTempFile,
    target: PathBuf,
    force: bool,
}

impl StagedFile {
    /// Prepares to write `target`, which must not exist unless `force` allows to replace it. Even
    /// then it must be a regular file and none of `inputs`.
    ///
    /// # Errors
    /// If the target is occupied, or its folder cannot be written.
    pub fn new(target: &Path, force: bool, inputs: &[&Path]) -> Result<Self, PackageError> {
        check(target, force, inputs)?;
        // A link stays a link to the file that is replaced.
        let target = target.canonicalize().unwrap_or_else(|_| target.to_owned());
        leftovers::remove_of(&target);
        let parent = disk::parent_of(&target);
        let name = target.file_name().unwrap_or_default().to_string_lossy();
        let prefix = format!("{}{name}-", layout::PARTIAL_PREFIX);
        let mut builder = tempfile::Builder::new();
        builder.prefix(&prefix);
        #[cfg(unix)]
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o666);
        #[cfg(unix)]
        // The umask applies to it, as to any new file.
        builder.permissions(mode);
        let file = builder.tempfile_in(parent);
        let file = file.map_err(|error| match parent.is_dir() {
            true => PackageError::write(&target)(disk::unnamed(error)),
            false => {
                let source = std::io::Error::new(error.kind(), "there is no such folder");
                PackageError::write(parent)(source)
            }
        })?;
        // Without the lock, the file is left over from a killed process.
        let _ = file.as_file().try_lock();
        Ok(Self {
            file,
            target,
            force,
        })
    }

    /// Returns the target.
    pub fn target(&self) -> &Path {
        &self.target
    }

    /// Moves the file into place.
    ///
    /// # Errors
    /// If it cannot be written to the disk or moved; an earlier file is then still in place.
    pub fn commit(self) -> Result<(), PackageError> {
        let Self {
            file,
            target,
            force,
        } = self;
        let synced = file.as_file().sync_all();
        synced.map_err(PackageError::write(&target))?;
        let moved = match force {
            true => file.persist(&target),
            false => file.persist_noclobber(&target),
        };
        moved.map_err(|error| PackageError::write(&target)(error.error))?;
        disk::sync_folder(disk::parent_of(&target));
        Ok(())
    }
}

impl Write for StagedFile {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.file.flush()
    }
}

fn check(target: &Path, force: bool, inputs: &[&Path]) -> Result<(), PackageError> {
    let is_same = |input: &&Path| match (input.canonicalize(), target.canonicalize()) {
        (Ok(input), Ok(target)) => input == target,
        _ => false,
    };
    let problem = if !target.exists() && !target.is_symlink() {
        return Ok(());
    } else if !target.is_file() {
        TargetProblem::NotAFile
    } else if inputs.iter().any(is_same) {
        TargetProblem::IsInput
    } else if !force {
        TargetProblem::Exists
    } else {
        return Ok(());
    };
    Err(PackageError::Target {
        path: target.to_owned(),
        problem,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(target: &Path, force: bool, inputs: &[&Path]) -> TargetProblem {
        match StagedFile::new(target, force, inputs).unwrap_err() {
            PackageError::Target { problem, .. } => problem,
            other => panic!("{other}"),
        }
    }

    #[test]
    fn a_dropped_file_leaves_nothing_and_a_killed_one_is_removed() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("a.csv");
        std::fs::write(folder.path().join(".rtune-partial-a.csv-killed"), "1").unwrap();
        let mut file = StagedFile::new(&target, false, &[]).unwrap();
        file.write_all(b"1").unwrap();
        // The second one does not remove the first, which is locked.
        let other = StagedFile::new(&target, false, &[]).unwrap();
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2);
        drop((file, other));
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn only_files_that_are_no_input_are_replaced_and_only_by_permission() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("a.csv");
        std::fs::write(&target, "old").unwrap();
        assert_eq!(problem(&target, false, &[]), TargetProblem::Exists);
        assert_eq!(problem(&target, true, &[&target]), TargetProblem::IsInput);
        let place = folder.path();
        assert_eq!(problem(place, true, &[]), TargetProblem::NotAFile);
        let mut file = StagedFile::new(&target, true, &[place]).unwrap();
        file.write_all(b"new").unwrap();
        assert_eq!(std::fs::read_to_string(&target).unwrap(), "old");
        file.commit().unwrap();
        assert_eq!(std::fs::read_to_string(&target).unwrap(), "new");
        assert_eq!(std::fs::read_dir(place).unwrap().count(), 1);
    }

    #[test]
    fn a_file_that_appears_meanwhile_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("a.csv");
        let file = StagedFile::new(&target, false, &[]).unwrap();
        std::fs::write(&target, "other").unwrap();
        assert!(file.commit().is_err());
        assert_eq!(std::fs::read_to_string(&target).unwrap(), "other");
    }

    #[cfg(unix)]
    #[test]
    fn permissions_are_those_of_any_new_file() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let mode = |name: &str| {
            let data = std::fs::metadata(folder.path().join(name)).unwrap();
            data.permissions().mode()
        };
        std::fs::write(folder.path().join("plain"), "").unwrap();
        let staged = folder.path().join("staged");
        StagedFile::new(&staged, false, &[])
            .unwrap()
            .commit()
            .unwrap();
        assert_eq!(mode("staged"), mode("plain"));
    }
}
