use crate::PackageError;
use std::fs::File;
use std::path::{Path, PathBuf};

/// What the names of folders begin with that are being replaced.
const OLD: &str = ".rtune-old-";

/// A folder that appears at its target whole, or not at all.
///
/// Files are written to a hidden folder beside the target; [`Staging::commit`] moves it into place.
/// A staging that is dropped instead removes what it wrote.
#[derive(Debug)]
pub struct Staging {
    folder: tempfile::TempDir,
    target: PathBuf,
    /// Held while somebody writes, so that others can tell a folder at work from one that a kill
    /// has left.
    _lock: Option<File>,
}

impl Staging {
    /// What the names of folders not yet whole begin with.
    pub const PARTIAL: &'static str = ".rtune-partial-";

    /// Checks that `target` may be written: it must not exist or be empty, unless `force` says to
    /// replace it. Even then, what stands there must be an earlier output that holds none of
    /// `inputs`: a slip of the hand must not cost a home folder.
    ///
    /// # Errors
    /// Where the target is occupied.
    pub fn check_target(target: &Path, force: bool, inputs: &[&Path]) -> Result<(), PackageError> {
        if is_vacant(target) {
            return Ok(());
        }
        let problem = match () {
            () if !target.is_dir() => "is there already, and is no folder; give another --output",
            () if is_busy(target) => "another rtune is at work in this folder",
            () if !is_earlier_output(target) => {
                "is not empty, and more than an earlier output of rtune is in it; give another --output"
            }
            () if !force => return Err(PackageError::Occupied(target.to_owned())),
            () if inputs.iter().any(|input| is_within(input, target)) => {
                "holds an input of this command; give another --output"
            }
            () => return Ok(()),
        };
        Err(PackageError::Property {
            place: target.display().to_string(),
            problem: problem.to_owned(),
        })
    }

    /// Prepares to write `target`, which must pass [`Staging::check_target`].
    ///
    /// # Errors
    /// Where it does not, or its parent cannot be written.
    pub fn new(target: &Path, force: bool, inputs: &[&Path]) -> Result<Self, PackageError> {
        remove_dead(parent_of(target), target);
        Self::check_target(target, force, inputs)?;
        // `.` and other spellings have no usable parent until they are resolved.
        let target = target.canonicalize().unwrap_or_else(|_| target.to_owned());
        let parent = parent_of(&target).to_owned();
        std::fs::create_dir_all(&parent).map_err(PackageError::io(&parent))?;
        check_replaceable(&target)?;
        let prefix = format!(
            "{}{}-",
            Self::PARTIAL,
            target.file_name().unwrap_or_default().to_string_lossy()
        );
        let folder = tempfile::Builder::new()
            .prefix(&prefix)
            .tempdir_in(&parent)
            .map_err(PackageError::io(&parent))?;
        let lock = File::open(folder.path())
            .ok()
            .filter(|folder| folder.try_lock().is_ok());
        Ok(Self {
            folder,
            target,
            _lock: lock,
        })
    }

    /// Removes what writers to targets in `folder` left when they were killed, as far as nobody is
    /// at work on it.
    ///
    /// # Errors
    /// Where something cannot be removed.
    pub fn remove_leftovers(folder: &Path) -> Result<(), PackageError> {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            if entry
                .file_name()
                .to_string_lossy()
                .starts_with(Self::PARTIAL)
                && is_dead(&entry.path())
            {
                remove(&entry.path()).map_err(PackageError::io(entry.path()))?;
            }
        }
        Ok(())
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
        let Self {
            folder,
            target,
            _lock,
        } = self;
        set_readable(folder.path()).map_err(PackageError::io(folder.path()))?;
        sync(folder.path())?;
        // The old folder moves aside first, so that a crash in between loses neither.
        let unique = folder
            .path()
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .replace(Self::PARTIAL, "");
        let aside = folder.path().with_file_name(format!("{OLD}{unique}"));
        let replaces = target.exists();
        if replaces {
            std::fs::rename(&target, &aside).map_err(PackageError::io(&target))?;
        }
        if let Err(error) = std::fs::rename(folder.path(), &target) {
            if replaces {
                std::fs::rename(&aside, &target).map_err(PackageError::io(&target))?;
            }
            // Hours of work may be in it, so it stays, under a name that no later command clears
            // away.
            let written = folder.keep();
            let kept = written.with_file_name(format!("rtune-output-{unique}"));
            let kept = if std::fs::rename(&written, &kept).is_ok() {
                kept
            } else {
                written
            };
            let problem = format!(
                "cannot be moved into place ({error}); the output is in {}",
                kept.display()
            );
            return Err(PackageError::Property {
                place: target.display().to_string(),
                problem,
            });
        }
        sync_folder(parent_of(&target));
        // The folder has moved; there is nothing left for the guard to remove.
        let _ = folder.keep();
        if replaces {
            remove(&aside).map_err(PackageError::io(aside))?;
        }
        Ok(())
    }
}

/// The folder that a path is in.
fn parent_of(path: &Path) -> &Path {
    path.parent()
        .filter(|parent| *parent != Path::new(""))
        .unwrap_or(Path::new("."))
}

/// Whether nobody writes to a folder. Where no lock can be had, nobody knows.
fn is_dead(folder: &Path) -> bool {
    File::open(folder).is_ok_and(|folder| folder.try_lock().is_ok())
}

/// Clears away what commands for the same target left when they were killed.
fn remove_dead(parent: &Path, target: &Path) {
    let name = target.file_name().unwrap_or_default().to_string_lossy();
    // Six characters make the names unique.
    let is_of = |found: &str, kind: &str| {
        found
            .strip_prefix(&format!("{kind}{name}-"))
            .is_some_and(|unique| unique.chars().count() == 6)
    };
    for entry in std::fs::read_dir(parent).into_iter().flatten().flatten() {
        let (path, found) = (
            entry.path(),
            entry.file_name().to_string_lossy().into_owned(),
        );
        // Errors do not matter: somebody else may be clearing it away at this moment.
        if is_of(&found, Staging::PARTIAL) && is_dead(&path) {
            let _ = remove(&path);
        }
        // What a target was before it was to be replaced; the kill came before or after the new one
        // took its place.
        if is_of(&found, OLD) {
            let _ = if target.exists() {
                remove(&path)
            } else {
                std::fs::rename(&path, target)
            };
        }
    }
}

/// What a power cut must not undo is on the disk before the folder counts.
fn sync(folder: &Path) -> Result<(), PackageError> {
    for entry in std::fs::read_dir(folder).map_err(PackageError::io(folder))? {
        let path = entry.map_err(PackageError::io(folder))?.path();
        if path.is_dir() {
            sync(&path)?;
            continue;
        }
        // A copy of a read-only file is read-only too, which not every system lets one sync.
        let writable = File::options().write(true).open(&path);
        let synced = writable
            .or_else(|_| File::open(&path))
            .and_then(|file| file.sync_all());
        synced.map_err(PackageError::io(&path))?;
    }
    sync_folder(folder);
    Ok(())
}

/// Not every system can sync a folder, and those that cannot need no telling.
fn sync_folder(folder: &Path) {
    let _ = File::open(folder).and_then(|folder| folder.sync_all());
}

fn is_vacant(target: &Path) -> bool {
    match std::fs::read_dir(target) {
        Ok(mut entries) => entries.next().is_none(),
        Err(_) => !target.exists() && !target.is_symlink(),
    }
}

/// What outputs have at their top.
const OUTPUTS: [&str; 14] = [
    crate::METADATA_FILE,
    "metrics.jsonl",
    "final",
    "model.safetensors",
    "checkpoints",
    "report.html",
    "model.onnx",
    "quantization.json",
    "config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "vocab.txt",
    "added_tokens.json",
];

/// The first entry of a folder that no output of rtune has at its top.
pub fn stranger_in(folder: &Path) -> Option<PathBuf> {
    let known = |name: &str| OUTPUTS.contains(&name) || name.starts_with(".rtune-");
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut strangers = entries.filter(|entry| !known(&entry.file_name().to_string_lossy()));
    strangers.next().map(|entry| entry.path())
}

/// An output of rtune, and nothing but that.
fn is_earlier_output(target: &Path) -> bool {
    let is_marked = |name| target.join(name).is_file();
    stranger_in(target).is_none()
        && !target.is_symlink()
        && [crate::METADATA_FILE, "metrics.jsonl", "quantization.json"]
            .into_iter()
            .any(is_marked)
}

/// Whether a run holds the lock on its log. Where the file system knows no locks, nobody is told.
fn is_busy(target: &Path) -> bool {
    let log = File::open(target.join("metrics.jsonl"));
    log.is_ok_and(|log| matches!(log.try_lock(), Err(std::fs::TryLockError::WouldBlock)))
}

/// A mount point or the current folder of a shell cannot be replaced; that is better found out
/// before the work.
fn check_replaceable(target: &Path) -> Result<(), PackageError> {
    if !target.is_dir() {
        return Ok(());
    }
    let probe = target.with_extension("rtune-probe");
    std::fs::rename(target, &probe)
        .and_then(|()| std::fs::rename(&probe, target))
        .map_err(|error| {
            let problem = format!(
                "this folder cannot be replaced ({error}); give a folder that is not there yet"
            );
            PackageError::Property {
                place: target.display().to_string(),
                problem,
            }
        })
}

/// Whether a file or folder is, or is in, another.
pub fn is_within(input: &Path, target: &Path) -> bool {
    match (input.canonicalize(), target.canonicalize()) {
        (Ok(input), Ok(target)) => input.starts_with(target),
        _ => false,
    }
}

fn remove(path: &Path) -> std::io::Result<()> {
    if path.is_dir() {
        std::fs::remove_dir_all(path)
    } else {
        std::fs::remove_file(path)
    }
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
        let staging = Staging::new(&target, false, &[]).unwrap();
        std::fs::write(staging.path().join("a"), "1").unwrap();
        drop(staging);
        assert_eq!(std::fs::read_dir(root.path()).unwrap().count(), 0);

        // What a kill has left goes with the next command for the same target; what is at work
        // stays.
        let left = root.path().join(".rtune-partial-out-killed");
        let of_another = root.path().join(".rtune-partial-out-int8-killed");
        std::fs::create_dir(&left).unwrap();
        std::fs::create_dir(&of_another).unwrap();
        let other = Staging::new(&target, false, &[]).unwrap();
        let staging = Staging::new(&target, false, &[]).unwrap();
        assert!(!left.exists() && other.path().is_dir() && of_another.is_dir());
        std::fs::remove_dir(of_another).unwrap();
        drop(other);
        // So does what it has moved aside: back, where nothing has taken its place.
        std::fs::create_dir_all(root.path().join(".rtune-old-out-killed/kept")).unwrap();
        assert!(Staging::new(&target, true, &[]).is_err() && target.join("kept").is_dir());
        std::fs::create_dir(root.path().join(".rtune-old-out-killed")).unwrap();
        assert!(
            Staging::new(&target, true, &[]).is_err()
                && !root.path().join(".rtune-old-out-killed").exists()
        );
        std::fs::remove_dir_all(&target).unwrap();
        std::fs::write(staging.path().join("a"), "1").unwrap();
        staging.commit().unwrap();
        assert!(matches!(
            Staging::new(&target, false, &[]),
            Err(PackageError::Property { .. })
        ));

        // What is no earlier output, or holds an input, is not replaced.
        std::fs::write(target.join("metrics.jsonl"), "").unwrap();
        assert!(Staging::new(&target, true, &[]).is_err());
        std::fs::remove_file(target.join("a")).unwrap();
        assert!(matches!(
            Staging::new(&target, false, &[]),
            Err(PackageError::Occupied(_))
        ));
        assert!(Staging::new(&target, true, &[&target.join("metrics.jsonl")]).is_err());
        let staging = Staging::new(&target, true, &[root.path()]).unwrap();
        std::fs::write(staging.path().join("b"), "2").unwrap();
        staging.commit().unwrap();
        let names: Vec<_> = std::fs::read_dir(&target)
            .unwrap()
            .map(|e| e.unwrap().file_name())
            .collect();
        assert_eq!(names, ["b"]);
        assert_eq!(std::fs::read_dir(root.path()).unwrap().count(), 1);
    }
}
