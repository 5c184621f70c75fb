//! The output folder of a run that can be interrupted: it fills while the run goes on, and a second run takes it up.

use crate::exit::usage;
use anyhow::Result;
use rtune_package::{PackageError, Staging, is_within};
use rtune_train::{Checkpoints, Start};
use serde_json::Value;
use std::fs::{File, TryLockError};
use std::io::{BufRead as _, BufReader, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

const METRICS_FILE: &str = "metrics.jsonl";
const CHECKPOINTS: &str = "checkpoints";
const FINAL: &str = "final";
/// Where the run that `--force` replaces waits until the new one is done.
const PREVIOUS: &str = "previous";

/// `final/`, `checkpoints/` and `metrics.jsonl`, locked for this process. What was made for a run in which nothing of
/// worth came to be is removed again, and the result that it was to replace is back.
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
}

impl RunFolder {
    /// Takes `path`, which must be vacant or hold a run that was interrupted, or a finished one that `force` says to
    /// replace, with none of `inputs` in it. What else lies in a run's folder, such as a log, is left alone.
    pub(crate) fn open(path: &Path, force: bool, inputs: &[&Path]) -> Result<Self> {
        let is_done = path.join(FINAL).exists();
        let problem = match () {
            () if !is_run(path) && Staging::check_target(path, false, &[]).is_err() => {
                "is not an empty folder, and holds no run to go on with; give another --output"
            }
            () if is_done && !force => {
                "holds a finished run, whose model is in final/; give another --output, or --force to train anew"
            }
            () => "",
        };
        if !problem.is_empty() {
            return Err(usage(format!("{}: {problem}", path.display())));
        }
        let parts = [FINAL, PREVIOUS, CHECKPOINTS].map(|name| path.join(name));
        if inputs.iter().any(|input| parts.iter().any(|part| is_within(input, part))) {
            return Err(usage(format!("{}: holds an input of this command; give another --output", path.display())));
        }
        let folder = path.ancestors().take_while(|p| *p != Path::new("") && !p.exists()).last().map(Path::to_owned);
        let place = path.join(METRICS_FILE);
        let made = Made { folder, metrics: !place.exists() };
        let opened = std::fs::create_dir_all(path).map_err(PackageError::io(path)).and_then(|()| {
            let options = File::options().read(true).write(true).create(true).truncate(false).open(&place);
            options.map_err(PackageError::io(&place))
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
            return Err(usage(format!("{}: another rtune is at work in this folder", path.display())));
        }
        Ok(Self { path: path.to_owned(), metrics, made, force })
    }

    /// The folder's checkpoints. With `--force`, a finished run moves aside. One that was interrupted does not: the same
    /// command with `--force` in it must get on, too.
    pub(crate) fn begin(&mut self, save_steps: usize, save_total_limit: usize) -> Result<Checkpoints> {
        Staging::remove_leftovers(&self.path)?;
        if self.force && self.result_path().exists() {
            let previous = self.path.join(PREVIOUS);
            remove(&previous)?;
            std::fs::create_dir(&previous).map_err(PackageError::io(&previous))?;
            let log = self.path.join(METRICS_FILE);
            // It stays where it is, for it is locked.
            std::fs::copy(&log, previous.join(METRICS_FILE)).map_err(PackageError::io(&log))?;
            for name in [CHECKPOINTS, FINAL] {
                rename(&self.path.join(name), &previous.join(name))?;
            }
        }
        Ok(checkpoints(&self.path, save_steps, save_total_limit, self.force))
    }

    /// Nothing came of the run: what it was to replace is back.
    fn restore(&mut self) -> Result<()> {
        let previous = self.path.join(PREVIOUS);
        if !previous.exists() {
            return Ok(());
        }
        let log = std::fs::read(previous.join(METRICS_FILE))?;
        self.metrics.set_len(0)?;
        self.metrics.seek(SeekFrom::Start(0))?;
        self.metrics.write_all(&log)?;
        for name in [CHECKPOINTS, FINAL] {
            rename(&previous.join(name), &self.path.join(name))?;
        }
        Ok(remove(&previous)?)
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
        result.commit()?;
        remove(&self.path.join(PREVIOUS))
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

    /// Takes the lines after `start` off `metrics.jsonl`: the run writes them anew.
    pub(crate) fn rewind(&mut self, start: &Start<'_>) -> std::io::Result<()> {
        self.metrics.seek(SeekFrom::Start(0))?;
        let mut reader = BufReader::new(&self.metrics);
        let (mut kept, mut line) = (0_u64, Vec::new());
        while reader.read_until(b'\n', &mut line)? > 0 {
            let Some((step, is_evaluation)) = position(&line) else { break };
            if step > start.step || (step == start.step && is_evaluation && !start.evaluated) {
                break;
            }
            kept += line.len() as u64;
            line.clear();
        }
        self.metrics.set_len(kept)
    }
}

fn checkpoints(path: &Path, save_steps: usize, save_total_limit: usize, discard_unusable: bool) -> Checkpoints {
    Checkpoints { folder: path.join(CHECKPOINTS), save_steps, save_total_limit, discard_unusable }
}

/// Moves a folder, where it is there.
fn rename(from: &Path, to: &Path) -> Result<(), PackageError> {
    if from.exists() { std::fs::rename(from, to).map_err(PackageError::io(from)) } else { Ok(()) }
}

fn remove(path: &Path) -> Result<(), PackageError> {
    let removed = match () {
        () if path.is_dir() => std::fs::remove_dir_all(path),
        () if path.exists() => std::fs::remove_file(path),
        () => Ok(()),
    };
    removed.map_err(PackageError::io(path))
}

/// The step of a whole line of `metrics.jsonl`, and whether it tells of an evaluation.
fn position(line: &[u8]) -> Option<(usize, bool)> {
    let value: Value = serde_json::from_slice(line.strip_suffix(b"\n")?).ok()?;
    let kind = value.get("kind")?.as_str().filter(|kind| ["step", "evaluation"].contains(kind))?;
    Some((value.get("step")?.as_u64()?.try_into().ok()?, kind == "evaluation"))
}

/// Whether the folder holds a run, by its log or its checkpoints.
fn is_run(path: &Path) -> bool {
    if !checkpoints(path, 1, 1, false).is_empty() {
        return true;
    }
    let Ok(log) = File::open(path.join(METRICS_FILE)) else { return false };
    let mut line = Vec::new();
    let read = BufReader::new(log).read_until(b'\n', &mut line);
    // A run that was killed early has an empty line or half of one, and nothing else.
    let is_young = || {
        let names = std::fs::read_dir(path).into_iter().flatten().flatten().map(|entry| entry.file_name());
        !line.ends_with(b"\n") && names.into_iter().all(|name| name == METRICS_FILE || name == CHECKPOINTS)
    };
    read.is_ok() && (position(&line).is_some() || is_young())
}

impl Made {
    /// Removes what was made, as far as nothing else is in it. Best effort: there is nobody left to tell.
    fn remove(&self, path: &Path) {
        if self.metrics {
            let _ = std::fs::remove_file(path.join(METRICS_FILE));
        }
        let Some(made) = &self.folder else { return };
        for folder in path.ancestors().take_while(|folder| folder.starts_with(made)) {
            let _ = std::fs::remove_dir(folder);
        }
    }
}

impl Drop for RunFolder {
    fn drop(&mut self) {
        if !checkpoints(&self.path, 1, 1, false).is_empty() || self.result_path().exists() {
            return;
        }
        let _ = std::fs::remove_dir(self.path.join(CHECKPOINTS));
        let _ = self.restore();
        self.made.remove(&self.path);
    }
}
