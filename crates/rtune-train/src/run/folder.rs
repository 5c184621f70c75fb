//! The folder of a run: it fills while the run works, and a later run resumes in it.

use super::archive::{archive, archived_runs, remove_archived, unarchive};
use super::log::{FirstLine, RunLog};
use crate::{Callback, Checkpoints, Event, FolderProblem, TrainError};
use rtune_package::{
    Kind, Marker, PackageError, Staging, TargetProblem, first_unknown_entry, is_within, layout,
};
use std::path::{Path, PathBuf};

/// Tells whether a run can resume from checkpoints, as [`Trainer::can_resume`] does.
///
/// [`Trainer::can_resume`]: crate::Trainer::can_resume
type CanResume<'a> = dyn Fn(&Checkpoints) -> Result<bool, TrainError> + 'a;

/// `final/`, `checkpoints/`, `metrics.jsonl`, and the page and event files that the caller writes;
/// locked for this process.
///
/// When it is closed or dropped, a run without checkpoint and result is removed, and the run that
/// it would have replaced is restored.
#[derive(Debug)]
pub(super) struct RunFolder {
    path: PathBuf,
    log: RunLog,
    created: Created,
    force: bool,
    closed: bool,
}

/// The files and folders that did not exist before the run.
#[derive(Debug)]
struct Created {
    /// The first of the folders on the path.
    folder: Option<PathBuf>,
    log: bool,
    events: bool,
    marker: bool,
}

impl RunFolder {
    /// Opens `path`, which must be vacant or hold an interrupted run. With `force` it may hold a
    /// finished run with none of `inputs` in it. Other files, such as notes, are left alone.
    ///
    /// # Errors
    /// If the folder holds other files only, a finished run, or an input; if another process works
    /// in it; or if it cannot be written.
    pub(super) fn open(path: &Path, force: bool, inputs: &[&Path]) -> Result<Self, TrainError> {
        if !is_run(path) && Staging::check_target(path, false, &[]).is_err() {
            return Err(problem(path, FolderProblem::NotARun));
        }
        let created = Created::before(path);
        let opened = std::fs::create_dir_all(path)
            .map_err(PackageError::write(path))
            .and_then(|()| RunLog::open(path));
        let log = match opened {
            Ok(log) => log,
            Err(error) => {
                created.remove(path);
                return Err(error.into());
            }
        };
        log.lock(path)?;
        let mut run = Self {
            path: path.to_owned(),
            log,
            created,
            force,
            closed: false,
        };
        // A run that replaced another may have been killed before its first checkpoint.
        if run.has_no_output() {
            run.restore()?;
        }
        if force {
            check_replaceable(path, inputs)?;
        } else if run.result_path().exists() {
            return Err(problem(path, FolderProblem::Finished));
        }
        Ok(run)
    }

    /// Returns whether the run has neither a checkpoint nor a result.
    fn has_no_output(&self) -> bool {
        !has_checkpoint(&self.path) && !self.result_path().exists()
    }

    /// Prepares for training and returns the folder's checkpoints.
    ///
    /// With `force`, a finished or incompatible run is archived; if one of the archived runs can be
    /// resumed, it is restored. The same command, with `force` in it, thus resumes after an
    /// interruption.
    ///
    /// # Errors
    /// If a file cannot be read, written or moved.
    pub(super) fn begin(
        &mut self,
        can_resume: &CanResume<'_>,
        callback: &mut dyn Callback,
    ) -> Result<Checkpoints, TrainError> {
        Staging::remove_leftovers(&self.path)?;
        let entries = [
            layout::METRICS,
            layout::CHECKPOINTS,
            layout::FINAL,
            layout::REPORT,
            layout::TENSORBOARD,
        ];
        Marker::new(Kind::Run, entries).write(&self.path)?;
        let checkpoints = self.checkpoints();
        if self.force && self.must_be_archived(can_resume, callback)? {
            let is_resumable = |run: &&PathBuf| {
                let checkpoints = Checkpoints::new(run.join(layout::CHECKPOINTS));
                !run.join(layout::FINAL).exists() && can_resume(&checkpoints).unwrap_or(false)
            };
            let archived = archived_runs(&self.path);
            let resumable = archived.iter().rev().find(is_resumable);
            archive(&self.path)?;
            if let Some(run) = resumable {
                self.unarchive(run)?;
            }
        }
        Ok(checkpoints)
    }

    fn checkpoints(&self) -> Checkpoints {
        Checkpoints::new(self.path.join(layout::CHECKPOINTS))
    }

    /// The newest checkpoint, complete or not, of a run without a result.
    pub(super) fn newest_checkpoint(&self) -> Option<PathBuf> {
        let is_finished = self.result_path().exists();
        self.checkpoints().newest_path().filter(|_| !is_finished)
    }

    /// Returns whether the run in the folder is finished or incompatible.
    fn must_be_archived(
        &self,
        can_resume: &CanResume<'_>,
        callback: &mut dyn Callback,
    ) -> Result<bool, TrainError> {
        if self.result_path().exists() {
            return Ok(true);
        }
        match can_resume(&self.checkpoints()) {
            Ok(_) => Ok(false),
            Err(reason @ TrainError::Checkpoint { .. }) => {
                callback.on_event(&Event::Archived { reason: &reason });
                Ok(true)
            }
            Err(error) => Err(error),
        }
    }

    /// Gives up a run that cannot succeed from its checkpoints either. If it would have replaced
    /// another run, its checkpoints are removed, so that the other is restored.
    ///
    /// # Errors
    /// If a checkpoint cannot be removed.
    pub(super) fn abandon(&self) -> Result<(), PackageError> {
        if archived_runs(&self.path).is_empty() {
            return Ok(());
        }
        self.checkpoints().clear()
    }

    /// Restores the run that this one would have replaced, if there is one.
    fn restore(&mut self) -> Result<(), PackageError> {
        match archived_runs(&self.path).pop() {
            Some(run) => self.unarchive(&run),
            None => Ok(()),
        }
    }

    fn unarchive(&mut self, run: &Path) -> Result<(), PackageError> {
        unarchive(&self.path, run, &mut self.log)?;
        self.created.log = false;
        Ok(())
    }

    /// The log of the run.
    pub(super) fn log(&mut self) -> &mut RunLog {
        &mut self.log
    }

    /// Prepares to write the result, which appears complete or not at all.
    ///
    /// # Errors
    /// If the folder cannot be written.
    pub(super) fn result(&self) -> Result<Staging, PackageError> {
        Staging::new(&self.result_path(), false, &[])
    }

    /// The folder of the result.
    pub(super) fn result_path(&self) -> PathBuf {
        self.path.join(layout::FINAL)
    }

    /// Moves the result into place and removes the runs that it replaces.
    ///
    /// # Errors
    /// If a folder cannot be moved or removed.
    pub(super) fn commit(&self, result: Staging) -> Result<(), PackageError> {
        result.commit(Kind::Model)?;
        remove_archived(&self.path)
    }

    /// Ends the work in the folder.
    ///
    /// # Errors
    /// If the run that this one would have replaced cannot be restored; it stays archived.
    pub(super) fn close(mut self) -> Result<(), PackageError> {
        self.remove_without_output()
    }

    fn remove_without_output(&mut self) -> Result<(), PackageError> {
        if std::mem::replace(&mut self.closed, true) || !self.has_no_output() {
            return Ok(());
        }
        let _ = std::fs::remove_dir(self.path.join(layout::CHECKPOINTS));
        self.restore()?;
        if self.has_no_output() {
            self.created.remove(&self.path);
        }
        Ok(())
    }
}

impl Drop for RunFolder {
    fn drop(&mut self) {
        // Errors are those of an unwinding caller, who has another one to report.
        let _ = self.remove_without_output();
    }
}

impl Created {
    /// The files and folders that are still missing.
    fn before(path: &Path) -> Self {
        let missing = |path: &&Path| **path != *Path::new("") && !path.exists();
        let folder = path.ancestors().take_while(missing).last();
        Self {
            folder: folder.map(Path::to_owned),
            log: !path.join(layout::METRICS).exists(),
            events: !path.join(layout::TENSORBOARD).exists(),
            marker: !path.join(layout::MARKER).exists(),
        }
    }

    /// Removes them, unless other files are in them. Errors are ignored: the caller reports the
    /// failure of the run.
    fn remove(&self, path: &Path) {
        if self.log {
            let _ = std::fs::remove_file(path.join(layout::METRICS));
        }
        if self.events {
            let _ = std::fs::remove_dir_all(path.join(layout::TENSORBOARD));
        }
        if self.marker {
            let _ = std::fs::remove_file(path.join(layout::MARKER));
        }
        let Some(first) = &self.folder else { return };
        for folder in path.ancestors().take_while(|path| path.starts_with(first)) {
            let _ = std::fs::remove_dir(folder);
        }
    }
}

fn problem(path: &Path, problem: FolderProblem) -> TrainError {
    TrainError::Folder {
        path: path.to_owned(),
        problem,
    }
}

/// Checks that everything that would be archived was written by rtune, and is not an input.
fn check_replaceable(path: &Path, inputs: &[&Path]) -> Result<(), TrainError> {
    let result = path.join(layout::FINAL);
    let checkpoints = path.join(layout::CHECKPOINTS);
    let holds = |input: &&Path| is_within(input, &result) || is_within(input, &checkpoints);
    if inputs.iter().any(holds) {
        return Err(TrainError::Package(PackageError::Target {
            path: path.to_owned(),
            problem: TargetProblem::HoldsInput,
        }));
    }
    let entries = std::fs::read_dir(&checkpoints).into_iter().flatten();
    let mut entries = entries.flatten().map(|entry| entry.path());
    let is_ours = |path: &Path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name.starts_with(Staging::PARTIAL) || Checkpoints::is_checkpoint_dir(path)
    };
    match first_unknown_entry(&result)?.or_else(|| entries.find(|path| !is_ours(path))) {
        None => Ok(()),
        Some(unknown) => Err(problem(&unknown, FolderProblem::NotOurs)),
    }
}

fn has_checkpoint(path: &Path) -> bool {
    !Checkpoints::new(path.join(layout::CHECKPOINTS)).is_empty()
}

/// Returns whether the folder holds a run, by its checkpoints or its log.
fn is_run(path: &Path) -> bool {
    if has_checkpoint(path) || !archived_runs(path).is_empty() {
        return true;
    }
    match FirstLine::read(path) {
        FirstLine::OfRun => true,
        FirstLine::Incomplete => {
            let names = [
                layout::METRICS,
                layout::CHECKPOINTS,
                layout::MARKER,
                layout::TENSORBOARD,
            ];
            let entries = std::fs::read_dir(path).into_iter().flatten().flatten();
            let mut found = entries.map(|entry| entry.file_name());
            found.all(|found| names.iter().any(|name| found == *name))
        }
        FirstLine::Unknown | FirstLine::Missing => false,
    }
}

#[cfg(test)]
mod tests;
