//! The output folder of a run that can be interrupted: it fills while the run goes on, and a second
//! run takes it up.

use crate::console::note;
use crate::exit::usage;
use anyhow::Result;
use rtune_package::{Kind, Marker, PackageError, Staging, first_unknown_entry, is_within, layout};
use rtune_train::{Checkpoints, Start, TrainError, Trainer};
use serde_json::Value;
use std::fs::{File, TryLockError};
use std::io::{BufRead as _, BufReader, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

const METRICS_FILE: &str = layout::METRICS;
const CHECKPOINTS: &str = layout::CHECKPOINTS;
const FINAL: &str = layout::FINAL;
/// Begins the names of folders where runs that `--force` replaces wait until the new one is done.
const PREVIOUS: &str = ".rtune-previous-";

/// `final/`, `checkpoints/` and `metrics.jsonl`, locked for this process. What was made for a run
/// in which nothing of worth came to be is removed again, and the result that it was to replace is
/// back.
pub(crate) struct RunFolder {
    path: PathBuf,
    metrics: File,
    made: Made,
    force: bool,
}

/// What was not there before.
struct Made {
    /// The first folder on the way.
    folder: Option<PathBuf>,
    metrics: bool,
    marker: bool,
}

impl RunFolder {
    /// Takes `path`, which must be vacant or hold a run that was interrupted, or a finished one
    /// that `force` says to replace, with none of `inputs` in it. What else lies in a run's folder,
    /// such as a log, is left alone.
    pub(crate) fn open(path: &Path, force: bool, inputs: &[&Path]) -> Result<Self> {
        if !is_run(path) && Staging::check_target(path, false, &[]).is_err() {
            let problem =
                "is not an empty folder, and holds no run to go on with; give another --output";
            return Err(usage(format!("{}: {problem}", path.display())));
        }
        let folder = path
            .ancestors()
            .take_while(|p| *p != Path::new("") && !p.exists())
            .last()
            .map(Path::to_owned);
        let place = path.join(METRICS_FILE);
        let made = Made {
            folder,
            metrics: !place.exists(),
            marker: !path.join(layout::MARKER).exists(),
        };
        let opened = std::fs::create_dir_all(path)
            .map_err(PackageError::write(path))
            .and_then(|()| {
                let options = File::options()
                    .read(true)
                    .write(true)
                    .create(true)
                    .truncate(false)
                    .open(&place);
                options.map_err(PackageError::write(&place))
            });
        let metrics = match opened {
            Ok(metrics) => metrics,
            Err(error) => {
                made.remove(path);
                return Err(error.into());
            }
        };
        // Where the file system knows no locks, nobody is told.
        if matches!(metrics.try_lock(), Err(TryLockError::WouldBlock)) {
            return Err(usage(format!(
                "{}: another rtune is at work in this folder",
                path.display()
            )));
        }
        let mut run = Self {
            path: path.to_owned(),
            metrics,
            made,
            force,
        };
        // A run that was to replace another, and was killed before it had anything to show.
        if run.is_bare() {
            run.restore()?;
        }
        if force {
            check_replaceable(path, inputs)?;
        } else if run.result_path().exists() {
            let problem = "holds a finished run, whose model is in final/; give another --output, or --force to train anew";
            return Err(usage(format!("{}: {problem}", path.display())));
        }
        Ok(run)
    }

    /// Whether nothing of worth came to be here.
    fn is_bare(&self) -> bool {
        !has_checkpoint(&self.path) && !self.result_path().exists()
    }

    /// The folder's checkpoints. With `--force`, a run that is finished, or that `trainer` cannot
    /// go on with, moves aside, and one that it can go on with comes back. A command with `--force`
    /// in it must get on, too.
    pub(crate) fn begin(&mut self, trainer: &Trainer<'_>) -> Result<Checkpoints> {
        Staging::remove_leftovers(&self.path)?;
        let entries = [METRICS_FILE, CHECKPOINTS, FINAL];
        Marker::new(Kind::Run, entries).write(&self.path)?;
        let checkpoints = Checkpoints::new(self.path.join(CHECKPOINTS));
        if self.force
            && (self.result_path().exists() || is_refused(trainer.can_resume(&checkpoints))?)
        {
            let goes_on = |(_, run): &(usize, PathBuf)| {
                !run.join(FINAL).exists()
                    && trainer
                        .can_resume(&Checkpoints::new(run.join(CHECKPOINTS)))
                        .unwrap_or(false)
            };
            let waiting = previous_runs(&self.path).into_iter().rev().find(goes_on);
            self.set_aside()?;
            if let Some((_, run)) = waiting {
                self.take_back(&run)?;
            }
        }
        Ok(checkpoints)
    }

    /// The run can come to nothing, from its checkpoints neither: where it was to replace another,
    /// they go.
    pub(crate) fn abandon(&self) -> Result<(), PackageError> {
        if previous_runs(&self.path).is_empty() {
            return Ok(());
        }
        Checkpoints::new(self.path.join(CHECKPOINTS)).clear()
    }

    fn set_aside(&self) -> Result<(), PackageError> {
        let number = 1 + previous_runs(&self.path)
            .last()
            .map_or(0, |(number, _)| *number);
        let previous = self.path.join(format!("{PREVIOUS}{number}"));
        if previous.exists() {
            // A kill came before anything had moved into it.
            remove(&previous)?;
        }
        std::fs::create_dir(&previous).map_err(PackageError::write(&previous))?;
        // The log stays where it is, for it is locked.
        let log = self.path.join(METRICS_FILE);
        let moved =
            std::fs::copy(&log, previous.join(METRICS_FILE)).map_err(PackageError::write(&log));
        let moved = moved.and_then(|_| rename(&self.path.join(FINAL), &previous.join(FINAL)));
        let moved =
            moved.and_then(|()| rename(&self.path.join(CHECKPOINTS), &previous.join(CHECKPOINTS)));
        if moved.is_err() {
            // What has moved goes back; the first error is the one to tell.
            let _ = rename(&previous.join(FINAL), &self.path.join(FINAL));
            let _ = remove(&previous);
        }
        moved
    }

    /// Nothing came of the run: what it was to replace is back.
    fn restore(&mut self) -> Result<()> {
        let Some((_, previous)) = previous_runs(&self.path).pop() else {
            return Ok(());
        };
        self.take_back(&previous)
    }

    fn take_back(&mut self, previous: &Path) -> Result<()> {
        let checkpoints = self.path.join(CHECKPOINTS);
        Staging::remove_leftovers(&checkpoints)?;
        // An empty folder may be left of a run that wrote nothing.
        let _ = std::fs::remove_dir(&checkpoints);
        for name in [FINAL, CHECKPOINTS] {
            rename(&previous.join(name), &self.path.join(name))?;
        }
        if let Ok(log) = std::fs::read(previous.join(METRICS_FILE)) {
            self.metrics.set_len(0)?;
            self.metrics.seek(SeekFrom::Start(0))?;
            self.metrics.write_all(&log)?;
            self.made.metrics = false;
        }
        Ok(remove(previous)?)
    }

    /// Where the result goes, as a folder that appears whole.
    pub(crate) fn result(&self) -> Result<Staging, PackageError> {
        Staging::new(&self.result_path(), false, &[])
    }

    /// Where the result is once it is there.
    pub(crate) fn result_path(&self) -> PathBuf {
        self.path.join(FINAL)
    }

    /// Puts the result in place of an earlier one.
    pub(crate) fn commit(&self, result: Staging) -> Result<(), PackageError> {
        result.commit(Kind::Model)?;
        previous_runs(&self.path)
            .iter()
            .try_for_each(|(_, previous)| remove(previous))
    }

    /// Adds a line to `metrics.jsonl`.
    pub(crate) fn write_line(&mut self, line: &str) -> std::io::Result<()> {
        self.metrics.seek(SeekFrom::End(0))?;
        self.metrics.write_all(format!("{line}\n").as_bytes())
    }

    /// Puts all lines on the disk.
    pub(crate) fn sync(&self) -> std::io::Result<()> {
        self.metrics.sync_data()
    }

    /// Takes the lines after `start` off `metrics.jsonl`: the run writes them anew. Gives the
    /// number of lines left.
    pub(crate) fn rewind(&mut self, start: &Start<'_>) -> std::io::Result<usize> {
        self.metrics.seek(SeekFrom::Start(0))?;
        let mut reader = BufReader::new(&self.metrics);
        let (mut lines, mut kept, mut line) = (0, 0_u64, Vec::new());
        while reader.read_until(b'\n', &mut line)? > 0 {
            let Some((step, is_evaluation)) = position(&line) else {
                break;
            };
            if step > start.step || (step == start.step && is_evaluation && !start.evaluated) {
                break;
            }
            (lines, kept) = (lines + 1, kept + line.len() as u64);
            line.clear();
        }
        self.metrics.set_len(kept)?;
        Ok(lines)
    }
}

/// Whether there are checkpoints that a run cannot go on from.
fn is_refused(goes_on: Result<bool, TrainError>) -> Result<bool> {
    match goes_on {
        Ok(_) => Ok(false),
        Err(error @ TrainError::Checkpoint { .. }) => {
            note(format!("archived until this run is done: {error}"));
            Ok(true)
        }
        Err(error) => Err(error.into()),
    }
}

/// What `--force` may move aside is all rtune's, and no input of the command.
fn check_replaceable(path: &Path, inputs: &[&Path]) -> Result<()> {
    let (result, checkpoints) = (path.join(FINAL), path.join(CHECKPOINTS));
    if inputs
        .iter()
        .any(|input| is_within(input, &result) || is_within(input, &checkpoints))
    {
        return Err(usage(format!(
            "{}: holds an input of this command; give another --output",
            path.display()
        )));
    }
    let mut entries = std::fs::read_dir(&checkpoints)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path());
    let is_ours = |path: &Path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name.starts_with(Staging::PARTIAL) || Checkpoints::is_checkpoint_dir(path)
    };
    match first_unknown_entry(&result).or_else(|| entries.find(|path| !is_ours(path))) {
        None => Ok(()),
        Some(stranger) => {
            let problem = "is none of rtune's, so --force does not touch it; move it away, or give another --output";
            Err(usage(format!("{}: {problem}", stranger.display())))
        }
    }
}

/// The runs that wait to be replaced, the last one last.
fn previous_runs(path: &Path) -> Vec<(usize, PathBuf)> {
    let entries = std::fs::read_dir(path).into_iter().flatten().flatten();
    let number = |name: std::ffi::OsString| name.to_str()?.strip_prefix(PREVIOUS)?.parse().ok();
    let mut runs: Vec<_> = entries
        .filter_map(|e| Some((number(e.file_name())?, e.path())))
        .collect();
    // Without either, a kill came before anything had moved.
    runs.retain(|(_, run)| run.join(FINAL).exists() || run.join(CHECKPOINTS).exists());
    runs.sort();
    runs
}

fn has_checkpoint(path: &Path) -> bool {
    !Checkpoints::new(path.join(CHECKPOINTS)).is_empty()
}

/// Moves a folder, where it is there.
fn rename(from: &Path, to: &Path) -> Result<(), PackageError> {
    if from.exists() {
        std::fs::rename(from, to).map_err(PackageError::write(from))
    } else {
        Ok(())
    }
}

fn remove(folder: &Path) -> Result<(), PackageError> {
    std::fs::remove_dir_all(folder).map_err(PackageError::write(folder))
}

/// The step of a whole line of `metrics.jsonl`, and whether it tells of an evaluation.
fn position(line: &[u8]) -> Option<(usize, bool)> {
    let value: Value = serde_json::from_slice(line.strip_suffix(b"\n")?).ok()?;
    let kind = value
        .get("kind")?
        .as_str()
        .filter(|kind| ["step", "evaluation"].contains(kind))?;
    Some((
        value.get("step")?.as_u64()?.try_into().ok()?,
        kind == "evaluation",
    ))
}

/// Whether the folder holds a run, by its log or its checkpoints.
fn is_run(path: &Path) -> bool {
    if has_checkpoint(path) || !previous_runs(path).is_empty() {
        return true;
    }
    let Ok(log) = File::open(path.join(METRICS_FILE)) else {
        return false;
    };
    let mut line = Vec::new();
    let read = BufReader::new(log).read_until(b'\n', &mut line);
    // A run that was killed early has an empty line or half of one, and nothing else.
    let is_young = || {
        let names = std::fs::read_dir(path)
            .into_iter()
            .flatten()
            .flatten()
            .map(|entry| entry.file_name());
        !line.ends_with(b"\n")
            && names.into_iter().all(|name| {
                [METRICS_FILE, CHECKPOINTS, layout::MARKER]
                    .iter()
                    .any(|n| name == *n)
            })
    };
    read.is_ok() && (position(&line).is_some() || is_young())
}

impl Made {
    /// Removes what was made, as far as nothing else is in it. Best effort: there is nobody left to
    /// tell.
    fn remove(&self, path: &Path) {
        if self.metrics {
            let _ = std::fs::remove_file(path.join(METRICS_FILE));
        }
        if self.marker {
            let _ = std::fs::remove_file(path.join(layout::MARKER));
        }
        let Some(made) = &self.folder else { return };
        for folder in path
            .ancestors()
            .take_while(|folder| folder.starts_with(made))
        {
            let _ = std::fs::remove_dir(folder);
        }
    }
}

impl Drop for RunFolder {
    fn drop(&mut self) {
        if !self.is_bare() {
            return;
        }
        let _ = std::fs::remove_dir(self.path.join(CHECKPOINTS));
        if let Err(error) = self.restore() {
            note(format!(
                "{}: the run that was to be replaced is in a hidden folder there: {error}",
                self.path.display()
            ));
            return;
        }
        if self.is_bare() {
            self.made.remove(&self.path);
        }
    }
}
