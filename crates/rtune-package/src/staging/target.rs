//! The rules for a folder that is about to be written.

use crate::error::TargetProblem;
use crate::{Marker, PackageError, first_unknown_entry, layout, legacy};
use std::fs::File;
use std::path::Path;

/// Checks that `target` may be written. See
/// [`Staging::check_target`](super::Staging::check_target).
pub(super) fn check(target: &Path, force: bool, inputs: &[&Path]) -> Result<(), PackageError> {
    if is_vacant(target) {
        return Ok(());
    }
    let problem = if !target.is_dir() {
        TargetProblem::NotAFolder
    } else if is_busy(target) {
        TargetProblem::Busy
    } else if let Some(problem) = ownership_problem(target)? {
        problem
    } else if !force {
        TargetProblem::Occupied
    } else if inputs.iter().any(|input| is_within(input, target)) {
        TargetProblem::HoldsInput
    } else {
        return Ok(());
    };
    Err(PackageError::Target {
        path: target.to_owned(),
        problem,
    })
}

/// Returns why a folder is not an output of rtune and nothing else.
fn ownership_problem(target: &Path) -> Result<Option<TargetProblem>, PackageError> {
    let is_ours = match Marker::read(target) {
        Ok(Some(marker)) if marker.is_newer() => return Ok(Some(TargetProblem::Newer)),
        Ok(Some(_)) => true,
        Ok(None) => legacy::SIGNS.iter().any(|name| target.join(name).is_file()),
        Err(PackageError::Json { .. }) => false,
        Err(error) => return Err(error),
    };
    let is_ours = is_ours && !target.is_symlink() && first_unknown_entry(target)?.is_none();
    Ok((!is_ours).then_some(TargetProblem::NotOurs))
}

/// Returns true if a folder is empty, or a path does not exist.
fn is_vacant(target: &Path) -> bool {
    match std::fs::read_dir(target) {
        Ok(mut entries) => entries.next().is_none(),
        Err(_) => !target.exists() && !target.is_symlink(),
    }
}

/// Returns true if a run holds the lock on its log. Always false on file systems without locks.
fn is_busy(target: &Path) -> bool {
    let log = File::open(target.join(layout::METRICS));
    log.is_ok_and(|log| matches!(log.try_lock(), Err(std::fs::TryLockError::WouldBlock)))
}

/// Checks that a folder can be moved. A mount point or the current folder of a shell cannot, which
/// is better known before the work.
pub(super) fn check_replaceable(target: &Path) -> Result<(), PackageError> {
    if !target.is_dir() {
        return Ok(());
    }
    let probe = target.with_extension("rtune-probe");
    std::fs::rename(target, &probe)
        .and_then(|()| std::fs::rename(&probe, target))
        .map_err(|source| PackageError::Fixed {
            path: target.to_owned(),
            source,
        })
}

/// Returns true if a file or folder is, or is in, another.
pub fn is_within(input: &Path, target: &Path) -> bool {
    match (input.canonicalize(), target.canonicalize()) {
        (Ok(input), Ok(target)) => input.starts_with(target),
        _ => false,
    }
}
