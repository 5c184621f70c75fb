//! The folder of one checkpoint: its name, its state file and its digests.

use super::RunIdentity;
use crate::{TrainError, progress::Progress};
use candle_core::{Device, Tensor};
use rtune_nn::{NnError, TensorRef, load_tensors, save_tensors};
use rtune_package::{Kind, PackageError, Staging, sha256_file, sha256_hex};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Format version of checkpoints. Raise it on every incompatible change.
const FORMAT: u64 = 2;
const STATE_FILE: &str = "trainer_state.json";
/// Key of the digest of the state file's other parts.
const STATE_DIGEST: &str = "state_sha256";
/// Name suffix of a checkpoint written between a step and its evaluation.
const EVALUATING: &str = "-evaluating";

/// Tensors to save, by file and by name.
pub(crate) type TensorFiles<'a> = Vec<(&'static str, Vec<(String, TensorRef<'a>)>)>;

/// The point of a run that a checkpoint holds: after a step, before or after its evaluation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Position {
    pub(crate) step: usize,
    pub(crate) evaluated: bool,
}

impl Position {
    /// The name of the checkpoint's folder, such as `step-00000500`.
    pub(crate) fn folder_name(self) -> String {
        let suffix = if self.evaluated { "" } else { EVALUATING };
        format!("step-{:08}{suffix}", self.step)
    }

    /// Parses the name of a checkpoint's folder.
    pub(crate) fn parse(folder: &Path) -> Option<Self> {
        let name = folder.file_name()?.to_str()?.strip_prefix("step-")?;
        let (digits, evaluated) = match name.strip_suffix(EVALUATING) {
            Some(digits) => (digits, false),
            None => (name, true),
        };
        // Names with fewer digits were written by other tools.
        let step = digits.parse().ok().filter(|_| digits.len() >= 8)?;
        Some(Self { step, evaluated })
    }
}

/// A reason that a run cannot resume from a checkpoint.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CheckpointProblem {
    /// Another version of rtune wrote it.
    #[error(
        "has format {found}, and this rtune reads {FORMAT}; resume with the rtune that wrote it"
    )]
    Format {
        /// The format version of the checkpoint.
        found: u64,
    },
    /// Its run has other settings than this version knows.
    #[error(
        "was written by rtune {version}, whose runs have other settings ({problem}); \
         resume with that version"
    )]
    Settings {
        /// The version that wrote the checkpoint.
        version: String,
        /// The setting.
        problem: String,
    },
    /// It belongs to another run.
    #[error("belongs to a run with {}", .0.join(", "))]
    OtherRun(
        /// The differences, such as `seed 42 (now 7)`.
        Vec<String>,
    ),
    /// It is damaged, and so are all others.
    #[error("{0}, and no other checkpoint is complete")]
    Damaged(String),
}

/// A complete checkpoint of this run.
#[derive(Debug)]
pub(crate) struct SavedRun {
    pub(crate) folder: PathBuf,
    pub(crate) progress: Progress,
    /// Digests by file.
    files: BTreeMap<String, String>,
}

impl SavedRun {
    /// The tensors of one of the checkpoint's files, or `None` if it has no such file.
    pub(crate) fn tensors(&self, name: &str) -> Result<Option<BTreeMap<String, Tensor>>, NnError> {
        if !self.files.contains_key(name) {
            return Ok(None);
        }
        load_tensors(&self.folder.join(name), &Device::Cpu).map(Some)
    }
}

/// The content of `trainer_state.json`, without its digest.
#[derive(Serialize, Deserialize)]
struct StateFile<R> {
    format: u64,
    rtune_version: String,
    run: R,
    files: BTreeMap<String, String>,
    state: Progress,
}

/// Why a checkpoint cannot be read.
#[derive(Debug)]
pub(crate) enum Unreadable {
    /// It is damaged; an older checkpoint may serve.
    Damaged(String),
    /// An error to report instead of falling back to an older checkpoint.
    Refused(TrainError),
}

/// Writes a checkpoint to `folder`, which appears complete or not at all.
pub(crate) fn write(
    folder: &Path,
    run: &RunIdentity,
    progress: &Progress,
    tensors: TensorFiles<'_>,
) -> Result<(), TrainError> {
    let staging = Staging::new(folder, false, &[])?;
    let mut files = BTreeMap::new();
    for (name, tensors) in tensors {
        let path = staging.path().join(name);
        save_tensors(&path, tensors.iter().map(|(name, t)| (name.as_str(), *t)))?;
        files.insert(name.to_owned(), sha256_file(&path)?);
    }
    let path = staging.path().join(STATE_FILE);
    let json = |source| PackageError::Json {
        path: folder.join(STATE_FILE),
        source,
    };
    let state = StateFile {
        format: FORMAT,
        rtune_version: env!("CARGO_PKG_VERSION").to_owned(),
        run,
        files,
        state: progress.clone(),
    };
    let mut state = serde_json::to_value(&state).map_err(json)?;
    state[STATE_DIGEST] = state_digest(&state).into();
    let text = serde_json::to_string_pretty(&state).map_err(json)?;
    std::fs::write(&path, text + "\n").map_err(PackageError::write(&path))?;
    Ok(staging.commit(Kind::Checkpoint)?)
}

/// Reads a checkpoint of `run` and checks that it is complete.
pub(crate) fn read(folder: &Path, run: &RunIdentity) -> Result<SavedRun, Unreadable> {
    let state = read_state(folder)?;
    check_files(folder, &state.files)?;
    let saved: RunIdentity = serde_json::from_value(state.run).map_err(|error| {
        let (version, problem) = (state.rtune_version, error.to_string());
        refused(folder, CheckpointProblem::Settings { version, problem })
    })?;
    let differences = saved.differences(run);
    if differences.is_empty() {
        return Ok(SavedRun {
            folder: folder.to_owned(),
            progress: state.state,
            files: state.files,
        });
    }
    Err(refused(folder, CheckpointProblem::OtherRun(differences)))
}

fn read_state(folder: &Path) -> Result<StateFile<Value>, Unreadable> {
    use std::io::ErrorKind::{InvalidData, NotFound};
    let path = folder.join(STATE_FILE);
    let damaged =
        |problem: &dyn std::fmt::Display| Unreadable::Damaged(format!("{STATE_FILE}: {problem}"));
    let text = std::fs::read_to_string(&path).map_err(|error| match error.kind() {
        NotFound | InvalidData => damaged(&error),
        _ => Unreadable::Refused(PackageError::read(&path)(error).into()),
    })?;
    let value: Value = serde_json::from_str(&text).map_err(|e| damaged(&e))?;
    match value.get("format").and_then(Value::as_u64) {
        Some(FORMAT) => {}
        Some(found) => return Err(refused(&path, CheckpointProblem::Format { found })),
        None => return Err(damaged(&"has no format")),
    }
    if value.get(STATE_DIGEST).and_then(Value::as_str) != Some(&state_digest(&value)) {
        return Err(damaged(&"is damaged, or was edited"));
    }
    serde_json::from_value(value).map_err(|e| damaged(&e))
}

fn check_files(folder: &Path, files: &BTreeMap<String, String>) -> Result<(), Unreadable> {
    for (name, digest) in files {
        let problem = match sha256_file(&folder.join(name)) {
            Ok(found) if found == *digest => continue,
            Ok(_) => "is damaged",
            Err(PackageError::Read { source, .. })
                if source.kind() == std::io::ErrorKind::NotFound =>
            {
                "is missing"
            }
            Err(error) => return Err(Unreadable::Refused(error.into())),
        };
        return Err(Unreadable::Damaged(format!("{name} {problem}")));
    }
    Ok(())
}

fn refused(path: &Path, problem: CheckpointProblem) -> Unreadable {
    Unreadable::Refused(TrainError::Checkpoint {
        path: path.to_owned(),
        problem,
    })
}

/// The digest of the parts of the state file that determine the rest of the run.
fn state_digest(state: &Value) -> String {
    let parts = ["run", "files", "state"].map(|part| state[part].to_string());
    sha256_hex(parts.join("\n").as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checkpoint::identity::tests::identity;

    fn written(folder: &Path) -> PathBuf {
        let path = folder.join("step-00000005");
        let tensors = vec![(
            "a.safetensors",
            vec![("a".to_owned(), TensorRef::Slice(&[1.0]))],
        )];
        write(&path, &identity(), &Progress::default(), tensors).unwrap();
        path
    }

    fn edit(path: &Path, change: impl FnOnce(&mut Value)) {
        let file = path.join(STATE_FILE);
        let mut state = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
        change(&mut state);
        std::fs::write(file, state.to_string()).unwrap();
    }

    /// Edits the state file and makes its digest right again.
    fn forge(path: &Path, change: impl FnOnce(&mut Value)) {
        edit(path, |state| {
            change(state);
            state[STATE_DIGEST] = state_digest(state).into();
        });
    }

    fn problem(path: &Path) -> (bool, String) {
        match read(path, &identity()).unwrap_err() {
            Unreadable::Damaged(problem) => (true, problem),
            Unreadable::Refused(error) => (false, error.to_string()),
        }
    }

    #[test]
    fn names_and_positions_are_one_to_one() {
        for (name, step, evaluated) in [
            ("step-00000005", 5, true),
            ("step-00000005-evaluating", 5, false),
            ("step-123456789", 123_456_789, true),
        ] {
            let position = Position { step, evaluated };
            assert_eq!(position.folder_name(), name);
            assert_eq!(Position::parse(Path::new(name)), Some(position));
        }
        for name in [
            "step-5",
            "checkpoint-00000005",
            "step-0000000x",
            "step-00000005-x",
            "",
        ] {
            assert_eq!(Position::parse(Path::new(name)), None, "{name}");
        }
    }

    #[test]
    fn tensors_and_progress_come_back() {
        let folder = tempfile::tempdir().unwrap();
        let saved = read(&written(folder.path()), &identity()).unwrap();
        assert_eq!(saved.progress, Progress::default());
        let tensors = saved.tensors("a.safetensors").unwrap().unwrap();
        assert_eq!(tensors["a"].to_vec1::<f32>().unwrap(), [1.0]);
        assert!(saved.tensors("b.safetensors").unwrap().is_none());
    }

    #[test]
    fn damage_is_found() {
        let damages: [(fn(&Path), &str); 6] = [
            (
                |path| std::fs::remove_file(path.join(STATE_FILE)).unwrap(),
                "trainer_state.json: No such file",
            ),
            (
                |path| std::fs::write(path.join(STATE_FILE), "{").unwrap(),
                "trainer_state.json: EOF",
            ),
            (
                |path| std::fs::write(path.join(STATE_FILE), "{}").unwrap(),
                "trainer_state.json: has no format",
            ),
            (
                |path| edit(path, |state| state["state"]["step"] = 7.into()),
                "trainer_state.json: is damaged, or was edited",
            ),
            (
                |path| std::fs::write(path.join("a.safetensors"), "x").unwrap(),
                "a.safetensors is damaged",
            ),
            (
                |path| std::fs::remove_file(path.join("a.safetensors")).unwrap(),
                "a.safetensors is missing",
            ),
        ];
        for (damage, expected) in damages {
            let folder = tempfile::tempdir().unwrap();
            let path = written(folder.path());
            damage(&path);
            let (damaged, problem) = problem(&path);
            assert!(damaged && problem.starts_with(expected), "{problem}");
        }
    }

    #[test]
    fn another_format_run_or_set_of_settings_is_refused() {
        let changes: [(fn(&mut Value), &str); 4] = [
            (
                |state| state["format"] = 3.into(),
                "has format 3, and this rtune reads 2; resume with the rtune that wrote it",
            ),
            (
                |state| state["run"]["seed"] = 7.into(),
                "belongs to a run with seed 7 (now 42)",
            ),
            (
                |state| state["run"]["momentum"] = 0.9.into(),
                "whose runs have other settings (unknown field `momentum`",
            ),
            (
                |state| drop(state["run"].as_object_mut().unwrap().remove("seed")),
                "whose runs have other settings (missing field `seed`",
            ),
        ];
        for (change, expected) in changes {
            let folder = tempfile::tempdir().unwrap();
            let path = written(folder.path());
            forge(&path, change);
            let (damaged, problem) = problem(&path);
            assert!(!damaged && problem.contains(expected), "{problem}");
        }
    }
}
