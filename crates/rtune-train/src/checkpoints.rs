use crate::TrainError;
use crate::identity::DIGEST;
use rtune_nn::{NnError, Values, load_tensors, save_tensors};
use rtune_package::{PackageError, Staging, sha256_file};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};

/// What the layout is called; a change to it that older versions cannot read raises the number.
const FORMAT: u32 = 1;
const STATE_FILE: &str = "trainer_state.json";

/// The checkpoints of one run: a folder with `step-00000500/` and so on.
///
/// Each holds `trainer_state.json` and safetensors files, whose digests the state lists, and appears whole or not at all.
#[derive(Debug, Clone)]
pub struct Checkpoints {
    /// Where they are.
    pub folder: PathBuf,
    /// One every so many updates, besides those at the end and at an interruption.
    pub save_steps: usize,
    /// So many are kept, the newest ones.
    pub save_total_limit: usize,
}

/// A checkpoint that was read and whose files are whole.
pub(crate) struct Saved<S> {
    pub(crate) folder: PathBuf,
    pub(crate) state: S,
}

#[derive(Serialize, Deserialize)]
struct StateFile<S> {
    format: u32,
    rtune_version: String,
    /// What decides the outcome of the run: settings and digests of what went in.
    run: Map<String, Value>,
    files: BTreeMap<String, String>,
    state: S,
}

impl Checkpoints {
    fn place(&self, step: usize) -> PathBuf {
        self.folder.join(format!("step-{step:08}"))
    }

    /// The folders that look like checkpoints, newest first.
    fn all(&self) -> Vec<(usize, PathBuf)> {
        let entries = std::fs::read_dir(&self.folder).into_iter().flatten().flatten();
        let step = |path: &Path| path.file_name()?.to_str()?.strip_prefix("step-")?.parse().ok();
        let mut all: Vec<_> = entries.filter_map(|e| Some((step(&e.path())?, e.path()))).collect();
        all.sort_by(|a, b| b.cmp(a));
        all
    }

    /// Writes the checkpoint of `step`, then removes those beyond the limit.
    pub(crate) fn save<S: Serialize>(
        &self,
        step: usize,
        run: &Map<String, Value>,
        state: S,
        tensors: &[(&str, Vec<(String, Values<'_>)>)],
    ) -> Result<PathBuf, TrainError> {
        let place = self.place(step);
        if place.exists() {
            // It did not pass for whole when the run resumed.
            std::fs::remove_dir_all(&place).map_err(io(&place))?;
        }
        let staging = Staging::new(&place, false, &[])?;
        let mut files = BTreeMap::new();
        for (name, tensors) in tensors {
            let path = staging.path().join(name);
            save_tensors(&path, tensors.iter().map(|(name, values)| (name.as_str(), *values)))?;
            sync(&path)?;
            files.insert((*name).to_owned(), sha256_file(&path)?);
        }
        let rtune_version = env!("CARGO_PKG_VERSION").to_owned();
        let state = StateFile { format: FORMAT, rtune_version, run: run.clone(), files, state };
        let path = staging.path().join(STATE_FILE);
        let text =
            serde_json::to_string_pretty(&state).map_err(|source| PackageError::Json { path: path.clone(), source })?;
        std::fs::write(&path, text + "\n").map_err(io(&path))?;
        sync(&path)?;
        staging.commit()?;
        // Not every system can sync a folder; the files are safe by then.
        let _ = sync(&self.folder);
        for (_, old) in self.all().into_iter().skip(self.save_total_limit.max(1)) {
            std::fs::remove_dir_all(&old).map_err(io(&old))?;
        }
        Ok(place)
    }

    /// The newest checkpoint that is whole; `damaged` is told of those that are not.
    ///
    /// # Errors
    /// Where a whole one belongs to another run.
    pub(crate) fn newest<S: DeserializeOwned>(
        &self,
        run: &Map<String, Value>,
        damaged: &mut dyn FnMut(&Path, &str),
    ) -> Result<Option<Saved<S>>, TrainError> {
        Staging::remove_leftovers(&self.folder)?;
        for (_, folder) in self.all() {
            let file: StateFile<S> = match read_state(&folder) {
                Ok(file) => file,
                Err(problem) => {
                    damaged(&folder, &problem);
                    continue;
                }
            };
            let differences = differences(&file.run, run);
            if !differences.is_empty() {
                let problem = format!(
                    "belongs to a run with {}; give what that run had, another --output, or --force to start over",
                    differences.join(", ")
                );
                return Err(TrainError::Checkpoint { path: folder, problem });
            }
            match broken_file(&folder, &file.files) {
                Some(problem) => damaged(&folder, &problem),
                None => return Ok(Some(Saved { folder, state: file.state })),
            }
        }
        Ok(None)
    }
}

impl<S> Saved<S> {
    /// The tensors of one of the checkpoint's files.
    pub(crate) fn tensors(&self, name: &str) -> Result<BTreeMap<String, candle_core::Tensor>, NnError> {
        load_tensors(&self.folder.join(name), &candle_core::Device::Cpu)
    }

    /// Whether the checkpoint has a file of that name.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.folder.join(name).is_file()
    }
}

fn read_state<S: DeserializeOwned>(folder: &Path) -> Result<StateFile<S>, String> {
    let text = std::fs::read_to_string(folder.join(STATE_FILE)).map_err(|e| format!("{STATE_FILE}: {e}"))?;
    let value: Value = serde_json::from_str(&text).map_err(|e| format!("{STATE_FILE}: {e}"))?;
    match value.get("format").and_then(Value::as_u64) {
        Some(format) if format == u64::from(FORMAT) => {
            serde_json::from_value(value).map_err(|e| format!("{STATE_FILE}: {e}"))
        }
        format => Err(format!("{STATE_FILE}: has format {format:?}, this rtune reads {FORMAT}")),
    }
}

fn broken_file(folder: &Path, files: &BTreeMap<String, String>) -> Option<String> {
    files.iter().find_map(|(name, digest)| match sha256_file(&folder.join(name)) {
        Ok(found) if found == *digest => None,
        Ok(_) => Some(format!("{name} is damaged")),
        Err(error) => Some(error.to_string()),
    })
}

/// What a checkpoint's run had otherwise, as a user would say it.
fn differences(saved: &Map<String, Value>, run: &Map<String, Value>) -> Vec<String> {
    let differs = |(name, value): (&String, &Value)| match saved.get(name) {
        Some(other) if other == value => None,
        // Digests tell nothing to a reader.
        _ if name.ends_with(DIGEST) => Some(format!("another {}", name.trim_end_matches(DIGEST).replace('_', " "))),
        Some(other) => Some(format!("{name} {other} (now {value})")),
        None => Some(format!("no {name} (now {value})")),
    };
    run.iter().filter_map(differs).collect()
}

/// What was written must be on the disk before the folder counts as a checkpoint.
fn sync(path: &Path) -> Result<(), TrainError> {
    Ok(File::open(path).and_then(|file| file.sync_all()).map_err(io(path))?)
}

fn io(path: &Path) -> impl FnOnce(std::io::Error) -> PackageError {
    move |source| PackageError::Io { path: path.to_owned(), source }
}
