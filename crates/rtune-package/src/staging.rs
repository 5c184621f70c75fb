use crate::PackageError;
use std::path::{Path, PathBuf};

/// A folder that appears at its target whole, or not at all.
///
/// Files are written to a hidden folder beside the target; [`Staging::commit`] moves it into place. A staging that is
/// dropped instead removes what it wrote.
#[derive(Debug)]
pub struct Staging {
    folder: tempfile::TempDir,
    target: PathBuf,
}

impl Staging {
    /// Prepares to write `target`, which must not exist or be empty, unless `force` says to replace it.
    ///
    /// # Errors
    /// Where the target is occupied, or its parent cannot be written.
    pub fn new(target: &Path, force: bool) -> Result<Self, PackageError> {
        if !force && !is_vacant(target) {
            return Err(PackageError::Occupied(target.to_owned()));
        }
        let parent = match target.parent() {
            Some(parent) if parent != Path::new("") => parent.to_owned(),
            _ => PathBuf::from("."),
        };
        std::fs::create_dir_all(&parent).map_err(PackageError::io(&parent))?;
        let folder = tempfile::Builder::new()
            .prefix(".rtune-partial-")
            .tempdir_in(&parent)
            .map_err(PackageError::io(&parent))?;
        Ok(Self { folder, target: target.to_owned() })
    }

    /// The folder to write to.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Moves the folder into place.
    ///
    /// # Errors
    /// Where it cannot be moved; what stood at the target then still stands there.
    pub fn commit(self) -> Result<(), PackageError> {
        let Self { folder, target } = self;
        set_readable(folder.path()).map_err(PackageError::io(folder.path()))?;
        // The old folder moves aside first, so that a crash in between loses neither.
        let aside = folder.path().with_extension("old");
        let replaces = target.exists();
        if replaces {
            std::fs::rename(&target, &aside).map_err(PackageError::io(&target))?;
        }
        if let Err(error) = std::fs::rename(folder.path(), &target) {
            if replaces {
                std::fs::rename(&aside, &target).map_err(PackageError::io(&target))?;
            }
            return Err(PackageError::io(target)(error));
        }
        // The folder has moved; there is nothing left for the guard to remove.
        let _ = folder.keep();
        if replaces {
            remove(&aside).map_err(PackageError::io(aside))?;
        }
        Ok(())
    }
}

fn is_vacant(target: &Path) -> bool {
    match std::fs::read_dir(target) {
        Ok(mut entries) => entries.next().is_none(),
        Err(_) => !target.exists(),
    }
}

fn remove(path: &Path) -> std::io::Result<()> {
    if path.is_dir() { std::fs::remove_dir_all(path) } else { std::fs::remove_file(path) }
}

/// Temporary folders are private; a model folder is as readable as others.
fn set_readable(path: &Path) -> std::io::Result<()> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755))?;
    }
    let _ = path;
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // Tests.
mod tests {
    use super::*;

    #[test]
    fn appears_whole_or_not_at_all() {
        let root = tempfile::tempdir().unwrap();
        let target = root.path().join("out");
        let staging = Staging::new(&target, false).unwrap();
        std::fs::write(staging.path().join("a"), "1").unwrap();
        drop(staging);
        assert_eq!(std::fs::read_dir(root.path()).unwrap().count(), 0);

        let staging = Staging::new(&target, false).unwrap();
        std::fs::write(staging.path().join("a"), "1").unwrap();
        staging.commit().unwrap();
        assert!(matches!(Staging::new(&target, false), Err(PackageError::Occupied(_))));

        let staging = Staging::new(&target, true).unwrap();
        std::fs::write(staging.path().join("b"), "2").unwrap();
        staging.commit().unwrap();
        let names: Vec<_> = std::fs::read_dir(&target).unwrap().map(|e| e.unwrap().file_name()).collect();
        assert_eq!(names, ["b"]);
        assert_eq!(std::fs::read_dir(root.path()).unwrap().count(), 1);
    }
}
