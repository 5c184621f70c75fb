//! Runs that another run replaces: kept in hidden folders until that run is complete.

use super::log::RunLog;
use rtune_package::{PackageError, Staging, layout};
use std::path::{Path, PathBuf};

/// Name prefix of the folders of archived runs; a number follows.
const PREFIX: &str = ".rtune-previous-";

/// The files and folders of a run that are moved; its log is copied.
const MOVED: [&str; 4] = [
    layout::TENSORBOARD,
    layout::REPORT,
    layout::FINAL,
    layout::CHECKPOINTS,
];

/// The archived runs in a run's folder, oldest first.
pub(super) fn archived_runs(folder: &Path) -> Vec<PathBuf> {
    numbered(folder).into_iter().map(|(_, run)| run).collect()
}

fn numbered(folder: &Path) -> Vec<(usize, PathBuf)> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let number = |name: std::ffi::OsString| name.to_str()?.strip_prefix(PREFIX)?.parse().ok();
    let mut runs: Vec<_> = entries
        .filter_map(|entry| Some((number(entry.file_name())?, entry.path())))
        .collect();
    // A folder with neither was created by a run that was killed before it moved anything.
    runs.retain(|(_, run)| {
        run.join(layout::FINAL).exists() || run.join(layout::CHECKPOINTS).exists()
    });
    runs.sort();
    runs
}

/// Archives the run in `folder`: moves its files and folders, and copies its log, which is locked.
///
/// # Errors
/// If a file cannot be written or moved. The run is then as it was.
pub(super) fn archive(folder: &Path) -> Result<(), PackageError> {
    let last = numbered(folder).last().map_or(0, |(number, _)| *number);
    let archived = folder.join(format!("{PREFIX}{}", last + 1));
    if archived.exists() {
        remove(&archived)?;
    }
    std::fs::create_dir(&archived).map_err(PackageError::write(&archived))?;
    let log = folder.join(layout::METRICS);
    let copied = std::fs::copy(&log, archived.join(layout::METRICS));
    let moved = copied.map_err(PackageError::write(&log)).and_then(|_| {
        MOVED
            .iter()
            .try_for_each(|name| rename(folder, &archived, name))
    });
    if moved.is_err() {
        // The first error is the one to report.
        for name in MOVED {
            let _ = rename(&archived, folder, name);
        }
        let _ = remove(&archived);
    }
    moved
}

/// Moves an archived run back, in place of a run without a checkpoint and result.
///
/// # Errors
/// If a file cannot be written or moved.
pub(super) fn unarchive(
    folder: &Path,
    archived: &Path,
    log: &mut RunLog,
) -> Result<(), PackageError> {
    let checkpoints = folder.join(layout::CHECKPOINTS);
    Staging::remove_leftovers(&checkpoints)?;
    // A run that wrote nothing may leave an empty folder.
    let _ = std::fs::remove_dir(&checkpoints);
    // It may also leave event files.
    let _ = std::fs::remove_dir_all(folder.join(layout::TENSORBOARD));
    MOVED
        .iter()
        .try_for_each(|name| rename(archived, folder, name))?;
    if let Ok(lines) = std::fs::read(archived.join(layout::METRICS)) {
        let written = log.replace(&lines);
        written.map_err(PackageError::write(log.path()))?;
    }
    remove(archived)
}

/// Removes all archived runs.
///
/// # Errors
/// If one cannot be removed.
pub(super) fn remove_archived(folder: &Path) -> Result<(), PackageError> {
    archived_runs(folder).iter().try_for_each(|run| remove(run))
}

/// Moves a folder to another parent if it exists.
fn rename(from: &Path, to: &Path, name: &str) -> Result<(), PackageError> {
    let from = from.join(name);
    if from.exists() {
        std::fs::rename(&from, to.join(name)).map_err(PackageError::write(from))
    } else {
        Ok(())
    }
}

fn remove(folder: &Path) -> Result<(), PackageError> {
    std::fs::remove_dir_all(folder).map_err(PackageError::write(folder))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(folder: &Path, file: &str, text: &str) {
        let path = folder.join(file);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    fn names(folder: &Path) -> Vec<String> {
        let entries = std::fs::read_dir(folder).unwrap();
        let mut names: Vec<_> = entries
            .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn runs_are_archived_in_order_and_come_back() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        let mut log = RunLog::open(folder).unwrap();
        for (run, name) in [("first", "final/a"), ("second", "checkpoints/step-1/a")] {
            write(folder, name, run);
            write(folder, "report.html", run);
            write(folder, "tensorboard/events", run);
            log.replace(run.as_bytes()).unwrap();
            archive(folder).unwrap();
        }
        assert_eq!(
            names(folder),
            [".rtune-previous-1", ".rtune-previous-2", "metrics.jsonl"]
        );
        let archived = archived_runs(folder);
        // The events of a run without output.
        write(folder, "tensorboard/other", "third");
        unarchive(folder, &archived[1], &mut log).unwrap();
        let text = |name: &str| std::fs::read_to_string(folder.join(name)).unwrap();
        assert_eq!(text("checkpoints/step-1/a"), "second");
        assert_eq!(text("metrics.jsonl"), "second");
        assert_eq!(text("report.html"), "second");
        assert_eq!(names(&folder.join("tensorboard")), ["events"]);
        assert_eq!(archived_runs(folder), archived[..1]);
        remove_archived(folder).unwrap();
        let left = ["checkpoints", "metrics.jsonl", "report.html", "tensorboard"];
        assert_eq!(names(folder), left);
    }

    #[test]
    fn a_folder_that_a_killed_run_left_empty_is_not_an_archived_run() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        RunLog::open(folder).unwrap();
        write(folder, ".rtune-previous-1/metrics.jsonl", "");
        write(folder, ".rtune-previous-x/final/a", "");
        assert!(archived_runs(folder).is_empty());
        write(folder, "final/a", "");
        archive(folder).unwrap();
        assert_eq!(archived_runs(folder), [folder.join(".rtune-previous-1")]);
    }

    #[test]
    fn a_run_that_cannot_be_archived_is_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        // Without a log, which is a fault.
        write(folder, "final/a", "");
        archive(folder).unwrap_err();
        assert_eq!(names(folder), ["final"]);
    }
}
