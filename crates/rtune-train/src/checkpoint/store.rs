//! The folder with the checkpoints of one run.

use super::format::{self, Position, SavedRun, TensorFiles, Unreadable};
use super::{CheckpointProblem, RunIdentity};
use crate::{TrainError, progress::Progress};
use rtune_package::{PackageError, Staging};
use std::collections::BTreeSet;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

/// The checkpoints of one run: a folder with `step-00000500/` and so on.
///
/// Each holds `trainer_state.json` and safetensors files, whose digests the state lists, and
/// appears complete or not at all.
#[derive(Debug, Clone)]
pub struct Checkpoints {
    folder: PathBuf,
}

/// Which checkpoints are kept.
#[derive(Debug, Clone)]
pub(crate) struct Retention {
    /// The number of the newest ones.
    pub(crate) limit: NonZeroUsize,
    /// Those that a hook works on, whatever their number.
    pub(crate) held: BTreeSet<Position>,
}

impl Checkpoints {
    /// The checkpoints in `folder`, which need not exist.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self {
            folder: folder.into(),
        }
    }

    /// All checkpoints, complete or not, newest first.
    fn all(&self) -> Vec<(Position, PathBuf)> {
        let entries = std::fs::read_dir(&self.folder).into_iter().flatten();
        let paths = entries.flatten().map(|entry| entry.path());
        let mut all: Vec<_> = paths
            .filter(|path| Self::is_checkpoint_dir(path))
            .filter_map(|path| Some((Position::parse(&path)?, path)))
            .collect();
        all.sort_by(|a, b| b.cmp(a));
        all
    }

    /// Returns whether there is no checkpoint, complete or not.
    pub fn is_empty(&self) -> bool {
        self.all().is_empty()
    }

    /// The newest checkpoint, complete or not.
    pub(crate) fn newest_path(&self) -> Option<PathBuf> {
        self.all().into_iter().next().map(|(_, path)| path)
    }

    /// Returns whether a path is a checkpoint by its name, complete or not.
    pub fn is_checkpoint_dir(path: &Path) -> bool {
        Position::parse(path).is_some() && path.is_dir()
    }

    /// Removes all checkpoints, and nothing else.
    ///
    /// # Errors
    /// If one cannot be removed.
    pub fn clear(&self) -> Result<(), PackageError> {
        self.all().iter().try_for_each(|(_, path)| remove(path))
    }

    /// Writes a checkpoint, then removes those beyond the limit.
    pub(crate) fn save(
        &self,
        keep: &Retention,
        run: &RunIdentity,
        progress: &Progress,
        tensors: TensorFiles<'_>,
    ) -> Result<PathBuf, TrainError> {
        let position = progress.position();
        let path = self.folder.join(position.folder_name());
        let written = if path.exists() {
            // A damaged checkpoint was found here on resume.
            remove(&path).map_err(TrainError::from)
        } else {
            Ok(())
        };
        let written = written.and_then(|()| format::write(&path, run, progress, tensors));
        written.map_err(|error| TrainError::Save {
            path: path.clone(),
            source: Box::new(error),
        })?;
        self.prune(position, keep);
        Ok(path)
    }

    /// Keeps the newest checkpoints up to `newest`. Newer ones were skipped as damaged and are
    /// removed.
    pub(crate) fn prune(&self, newest: Position, keep: &Retention) {
        let (older, newer): (Vec<_>, Vec<_>) = self
            .all()
            .into_iter()
            .partition(|(position, _)| *position <= newest);
        // A checkpoint from before an evaluation is obsolete once there is one after it.
        let evaluated: BTreeSet<Position> = older.iter().map(|(position, _)| *position).collect();
        let is_obsolete = |position: Position| {
            let evaluation = Position {
                evaluated: true,
                ..position
            };
            position != evaluation && evaluated.contains(&evaluation)
        };
        let (obsolete, older): (Vec<_>, Vec<_>) = older
            .into_iter()
            .partition(|(position, _)| is_obsolete(*position));
        let beyond = older.into_iter().skip(keep.limit.get());
        let surplus = newer.into_iter().chain(obsolete).chain(beyond);
        for (_, path) in surplus.filter(|(position, _)| !keep.held.contains(position)) {
            // A checkpoint that cannot be removed now is tried again after the next one.
            let _ = remove(&path);
        }
    }

    /// Reads the newest complete checkpoint; calls `skipped` with each damaged one.
    ///
    /// # Errors
    /// If the newest complete checkpoint belongs to another run, or all checkpoints are damaged.
    pub(crate) fn newest(
        &self,
        run: &RunIdentity,
        skipped: &mut dyn FnMut(&Path, &str),
    ) -> Result<Option<SavedRun>, TrainError> {
        Staging::remove_leftovers(&self.folder)?;
        let mut damaged = None;
        for (_, path) in self.all() {
            match format::read(&path, run) {
                Ok(saved) => return Ok(Some(saved)),
                Err(Unreadable::Refused(error)) => return Err(error),
                Err(Unreadable::Damaged(problem)) => {
                    skipped(&path, &problem);
                    damaged.get_or_insert((path, problem));
                }
            }
        }
        match damaged {
            None => Ok(None),
            Some((path, problem)) => Err(TrainError::Checkpoint {
                path,
                problem: CheckpointProblem::Damaged(problem),
            }),
        }
    }
}

/// Removes a checkpoint. Renames the folder first, so that a kill half-way cannot leave something
/// that looks like a checkpoint.
fn remove(path: &Path) -> Result<(), PackageError> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let hidden = path.with_file_name(format!("{}{name}-removed", Staging::PARTIAL));
    let removed = std::fs::rename(path, &hidden).and_then(|()| std::fs::remove_dir_all(&hidden));
    removed.map_err(PackageError::write(path))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checkpoint::identity::tests::identity;
    use rtune_nn::TensorRef;

    fn keep(limit: usize, held: &[usize]) -> Retention {
        let held = held.iter().map(|step| Position {
            step: *step,
            evaluated: true,
        });
        Retention {
            limit: NonZeroUsize::new(limit).unwrap(),
            held: held.collect(),
        }
    }

    fn save(checkpoints: &Checkpoints, step: usize, evaluated: bool, limit: usize) -> PathBuf {
        save_and_keep(checkpoints, step, evaluated, &keep(limit, &[]))
    }

    fn save_and_keep(
        checkpoints: &Checkpoints,
        step: usize,
        evaluated: bool,
        keep: &Retention,
    ) -> PathBuf {
        let progress = Progress::after(step, !evaluated);
        let tensors = vec![(
            "a.safetensors",
            vec![("a".to_owned(), TensorRef::Slice(&[1.0]))],
        )];
        checkpoints
            .save(keep, &identity(), &progress, tensors)
            .unwrap()
    }

    fn names(checkpoints: &Checkpoints) -> Vec<String> {
        let all = checkpoints.all();
        all.iter()
            .map(|(position, _)| position.folder_name())
            .collect()
    }

    fn newest(checkpoints: &Checkpoints) -> Result<(Option<usize>, usize), String> {
        let mut skipped = 0;
        let saved = checkpoints.newest(&identity(), &mut |_, _| skipped += 1);
        let step = saved.map(|saved| saved.map(|saved| saved.progress.step));
        step.map(|step| (step, skipped)).map_err(|e| e.to_string())
    }

    #[test]
    fn the_newest_and_evaluated_ones_are_kept() {
        let folder = tempfile::tempdir().unwrap();
        let checkpoints = Checkpoints::new(folder.path().join("c"));
        assert_eq!(newest(&checkpoints), Ok((None, 0)));
        assert!(checkpoints.is_empty());
        for step in [5, 10, 15] {
            save(&checkpoints, step, true, 2);
        }
        save(&checkpoints, 20, false, 2);
        assert_eq!(
            names(&checkpoints),
            ["step-00000020-evaluating", "step-00000015"]
        );
        assert_eq!(newest(&checkpoints), Ok((Some(20), 0)));
        save(&checkpoints, 20, true, 2);
        assert_eq!(names(&checkpoints), ["step-00000020", "step-00000015"]);
        checkpoints.clear().unwrap();
        assert!(checkpoints.is_empty());
    }

    #[test]
    fn those_that_a_hook_works_on_are_kept() {
        let folder = tempfile::tempdir().unwrap();
        let checkpoints = Checkpoints::new(folder.path());
        for step in [5, 10, 15, 20] {
            save_and_keep(&checkpoints, step, true, &keep(1, &[5, 15]));
        }
        assert_eq!(
            names(&checkpoints),
            ["step-00000020", "step-00000015", "step-00000005"]
        );
        save(&checkpoints, 25, true, 1);
        assert_eq!(names(&checkpoints), ["step-00000025"]);
    }

    #[test]
    fn damaged_ones_are_skipped_and_do_not_displace_complete_ones() {
        let folder = tempfile::tempdir().unwrap();
        let checkpoints = Checkpoints::new(folder.path());
        save(&checkpoints, 5, true, 9);
        let damaged = save(&checkpoints, 10, true, 9);
        std::fs::write(damaged.join("trainer_state.json"), "{").unwrap();
        assert_eq!(newest(&checkpoints), Ok((Some(5), 1)));
        // A run that resumes at step 5 gets to step 10 again, and to step 8 before.
        save(&checkpoints, 8, true, 1);
        assert_eq!(names(&checkpoints), ["step-00000008"]);
        std::fs::create_dir(&damaged).unwrap();
        save(&checkpoints, 10, true, 1);
        assert_eq!(newest(&checkpoints), Ok((Some(10), 0)));
    }

    #[test]
    fn all_damaged_is_an_error_and_removes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let checkpoints = Checkpoints::new(folder.path());
        for step in [5, 10] {
            let path = save(&checkpoints, step, true, 9);
            std::fs::remove_file(path.join("a.safetensors")).unwrap();
        }
        let error = newest(&checkpoints).unwrap_err();
        let expected = "step-00000010: a.safetensors is missing, and no other checkpoint is \
            complete";
        assert!(error.ends_with(expected), "{error}");
        assert_eq!(names(&checkpoints).len(), 2);
    }

    #[test]
    fn a_checkpoint_that_cannot_be_written_keeps_the_others() {
        let folder = tempfile::tempdir().unwrap();
        let checkpoints = Checkpoints::new(folder.path());
        save(&checkpoints, 5, true, 1);
        std::fs::write(folder.path().join("step-00000010"), "a file").unwrap();
        let progress = Progress::after(10, false);
        let saved = checkpoints.save(&keep(1, &[]), &identity(), &progress, Vec::new());
        assert!(matches!(saved, Err(TrainError::Save { .. })), "{saved:?}");
        assert_eq!(names(&checkpoints), ["step-00000005"]);
    }
}
