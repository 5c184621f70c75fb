//! The output folder of a run that can be interrupted: it fills while the run goes on, and a second run takes it up.

use crate::exit::usage;
use anyhow::Result;
use rtune_package::{PackageError, Staging};
use rtune_train::Checkpoints;
use std::fs::{File, TryLockError};
use std::io::{BufRead as _, BufReader, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

const METRICS_FILE: &str = "metrics.jsonl";
const CHECKPOINTS: &str = "checkpoints";
const FINAL: &str = "final";

/// `final/`, `checkpoints/` and `metrics.jsonl`, locked for this process. What was made for a run in which nothing of
/// worth came to be is removed again.
pub(crate) struct RunFolder {
    path: PathBuf,
    metrics: File,
    /// The first folder on the way that was not there.
    created: Option<PathBuf>,
    /// An earlier output is to be deleted once this run begins; until then it is left alone.
    replaces: bool,
}

impl RunFolder {
    /// Takes `path`, which must be vacant or hold a run that was interrupted, unless `force` says to start over. Even
    /// then, what stands there must be an earlier output that holds none of `inputs`.
    pub(crate) fn open(path: &Path, force: bool, inputs: &[&Path]) -> Result<Self> {
        let (is_run, is_done) = (path.join(METRICS_FILE).is_file(), path.join(FINAL).exists());
        let goes_on = is_run && !is_done && Staging::check_target(path, true, inputs).is_ok();
        Staging::check_target(path, force || goes_on, inputs)?;
        let created = path.ancestors().take_while(|p| *p != Path::new("") && !p.exists()).last().map(Path::to_owned);
        std::fs::create_dir_all(path).map_err(io(path))?;
        let place = path.join(METRICS_FILE);
        let metrics = File::options().read(true).append(true).create(true).open(&place).map_err(io(&place))?;
        // Where the file system knows no locks, nobody is told.
        if matches!(metrics.try_lock(), Err(TryLockError::WouldBlock)) {
            return Err(usage(format!("{}: another rtune is at work in this folder", path.display())));
        }
        Ok(Self { path: path.to_owned(), metrics, created, replaces: force && (is_run || is_done) })
    }

    /// The folder's checkpoints; what `force` replaces goes now.
    pub(crate) fn begin(&mut self, save_steps: usize, save_total_limit: usize) -> Result<Checkpoints> {
        Staging::remove_leftovers(&self.path)?;
        if std::mem::take(&mut self.replaces) {
            for entry in std::fs::read_dir(&self.path).into_iter().flatten().flatten() {
                let place = entry.path();
                let removed = match () {
                    // It is open, and locked.
                    () if entry.file_name() == METRICS_FILE => Ok(()),
                    () if place.is_dir() => std::fs::remove_dir_all(&place),
                    () => std::fs::remove_file(&place),
                };
                removed.map_err(io(&place))?;
            }
        }
        Ok(Checkpoints { folder: self.path.join(CHECKPOINTS), save_steps, save_total_limit })
    }

    /// Where the result goes, as a folder that appears whole.
    pub(crate) fn result(&self) -> Result<Staging, PackageError> {
        Staging::new(&self.result_path(), false, &[])
    }

    /// Where the result is once it is there.
    pub(crate) fn result_path(&self) -> PathBuf {
        self.path.join(FINAL)
    }

    /// Adds a line to `metrics.jsonl`.
    pub(crate) fn write_line(&mut self, line: &str) -> std::io::Result<()> {
        writeln!(self.metrics, "{line}")
    }

    /// Takes the lines after `step` off `metrics.jsonl`: the run writes them anew.
    pub(crate) fn rewind(&mut self, step: usize) -> std::io::Result<()> {
        self.metrics.seek(SeekFrom::Start(0))?;
        let mut reader = BufReader::new(&self.metrics);
        let (mut kept, mut line) = (0_u64, Vec::new());
        while reader.read_until(b'\n', &mut line)? > 0 {
            let value: Option<serde_json::Value> = serde_json::from_slice(&line).ok();
            let at = value.and_then(|v| v.get("step")?.as_u64()).and_then(|at| usize::try_from(at).ok());
            if !line.ends_with(b"\n") || at.is_none_or(|at| at > step) {
                break;
            }
            kept += line.len() as u64;
            line.clear();
        }
        self.metrics.set_len(kept)
    }

    fn has_checkpoint(&self) -> bool {
        std::fs::read_dir(self.path.join(CHECKPOINTS)).is_ok_and(|mut entries| entries.next().is_some())
    }
}

fn io(path: &Path) -> impl FnOnce(std::io::Error) -> PackageError {
    move |source| PackageError::Io { path: path.to_owned(), source }
}

impl Drop for RunFolder {
    /// Best effort: there is nobody left to tell.
    fn drop(&mut self) {
        if self.replaces || self.has_checkpoint() || self.result_path().exists() {
            return;
        }
        let _ = std::fs::remove_dir(self.path.join(CHECKPOINTS));
        let _ = std::fs::remove_file(self.path.join(METRICS_FILE));
        if let Some(created) = &self.created {
            let mut empty = Some(self.path.as_path());
            while let Some(folder) = empty.filter(|folder| folder.starts_with(created)) {
                let _ = std::fs::remove_dir(folder);
                empty = folder.parent();
            }
        }
    }
}
