use crate::TrainError;
use crate::identity::DIGEST;
use rtune_nn::{NnError, TensorRef, load_tensors, save_tensors};
use rtune_package::{Kind, PackageError, Staging, sha256_file, sha256_hex};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// What the layout is called; a change to it that older versions cannot read raises the number.
const FORMAT: u64 = 1;
const STATE_FILE: &str = "trainer_state.json";
/// Ends the name of a checkpoint whose evaluation is still to come.
const EVALUATING: &str = "-evaluating";

/// The checkpoints of one run: a folder with `step-00000500/` and so on.
///
/// Each holds `trainer_state.json` and safetensors files, whose digests the state lists, and
/// appears whole or not at all.
#[derive(Debug, Clone)]
pub struct Checkpoints {
    /// Where they are.
    pub folder: PathBuf,
    /// One every so many updates, besides those at the end and at an interruption.
    pub save_steps: usize,
    /// So many are kept, the newest ones.
    pub save_total_limit: usize,
}

/// Where in a run a checkpoint is: after a step, before or after the step's evaluation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    pub(crate) step: usize,
    pub(crate) evaluated: bool,
}

/// A checkpoint that was read and whose files are whole.
pub(crate) struct Saved<S> {
    pub(crate) folder: PathBuf,
    pub(crate) state: S,
    files: BTreeMap<String, String>,
}

#[derive(Serialize, Deserialize)]
struct StateFile<S> {
    format: u64,
    /// For people who look at an old checkpoint.
    rtune_version: String,
    /// What decides the outcome of the run: settings and digests of what went in.
    run: Map<String, Value>,
    files: BTreeMap<String, String>,
    state: S,
}

/// Over all that a state file says but its format, version and this.
const OWN_DIGEST: &str = "state_sha256";

/// Why a checkpoint cannot be taken up.
enum Unusable {
    Damaged(String),
    /// Nothing to pass over in silence.
    Refused(TrainError),
}

impl Place {
    fn name(self) -> String {
        format!(
            "step-{:08}{}",
            self.step,
            if self.evaluated { "" } else { EVALUATING }
        )
    }

    fn of(path: &Path) -> Option<Self> {
        let name = path.file_name()?.to_str()?.strip_prefix("step-")?;
        let (digits, evaluated) = name
            .strip_suffix(EVALUATING)
            .map_or((name, true), |digits| (digits, false));
        // Fewer digits are other trainers'.
        let step = digits.parse().ok().filter(|_| digits.len() >= 8)?;
        Some(Self { step, evaluated })
    }
}

impl Checkpoints {
    /// How often one is written where nobody says.
    pub const SAVE_STEPS: usize = 500;
    /// How many are kept where nobody says.
    pub const SAVE_TOTAL_LIMIT: usize = 2;

    /// The checkpoints in a folder, written and kept as where nobody says.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self {
            folder: folder.into(),
            save_steps: Self::SAVE_STEPS,
            save_total_limit: Self::SAVE_TOTAL_LIMIT,
        }
    }

    /// All checkpoints, whole or not, newest first.
    fn all(&self) -> Vec<(Place, PathBuf)> {
        let paths = std::fs::read_dir(&self.folder)
            .into_iter()
            .flatten()
            .flatten()
            .map(|entry| entry.path());
        let paths = paths.filter(|path| Self::is_one(path));
        let mut all: Vec<_> = paths
            .filter_map(|path| Some((Place::of(&path)?, path)))
            .collect();
        all.sort_by(|a, b| b.cmp(a));
        all
    }

    /// Whether there is no checkpoint, whole or not.
    pub fn is_empty(&self) -> bool {
        self.all().is_empty()
    }

    /// Whether a path is a checkpoint, whole or not.
    pub fn is_one(path: &Path) -> bool {
        Place::of(path).is_some() && path.is_dir()
    }

    /// Removes all checkpoints, and nothing else.
    ///
    /// # Errors
    /// Where one cannot be removed.
    pub fn clear(&self) -> Result<(), PackageError> {
        self.all()
            .iter()
            .try_for_each(|(_, folder)| discard(folder))
    }

    /// Writes a checkpoint, then removes those beyond the limit.
    pub(crate) fn save<S: Serialize>(
        &self,
        place: Place,
        run: &Map<String, Value>,
        state: S,
        tensors: &[(&str, Vec<(String, TensorRef<'_>)>)],
    ) -> Result<PathBuf, TrainError> {
        let folder = self.folder.join(place.name());
        let written = self.write(&folder, run, state, tensors);
        written.map_err(|problem| TrainError::Save {
            path: folder.clone(),
            problem,
        })?;
        self.prune(place);
        Ok(folder)
    }

    fn write<S: Serialize>(
        &self,
        folder: &Path,
        run: &Map<String, Value>,
        state: S,
        tensors: &[(&str, Vec<(String, TensorRef<'_>)>)],
    ) -> Result<(), String> {
        if folder.exists() {
            // It did not pass for whole when the run resumed.
            discard(folder).map_err(|e| e.to_string())?;
        }
        let staging = Staging::new(folder, false, &[]).map_err(|e| e.to_string())?;
        let mut files = BTreeMap::new();
        for (name, tensors) in tensors {
            let path = staging.path().join(name);
            let tensors = tensors
                .iter()
                .map(|(name, values)| (name.as_str(), *values));
            save_tensors(&path, tensors).map_err(|e| e.to_string())?;
            files.insert(
                (*name).to_owned(),
                sha256_file(&path).map_err(|e| e.to_string())?,
            );
        }
        let rtune_version = env!("CARGO_PKG_VERSION").to_owned();
        let state = StateFile {
            format: FORMAT,
            rtune_version,
            run: run.clone(),
            files,
            state,
        };
        let mut state = serde_json::to_value(&state).map_err(|e| e.to_string())?;
        state[OWN_DIGEST] = own_digest(&state).into();
        let text = serde_json::to_string_pretty(&state).map_err(|e| e.to_string())?;
        std::fs::write(staging.path().join(STATE_FILE), text + "\n").map_err(|e| e.to_string())?;
        staging.commit(Kind::Checkpoint).map_err(|e| e.to_string())
    }

    /// Keeps the newest checkpoints up to `newest`. What is newer was passed over as damaged, and
    /// only in the way.
    pub(crate) fn prune(&self, newest: Place) {
        let (older, newer): (Vec<_>, Vec<_>) = self
            .all()
            .into_iter()
            .partition(|(place, _)| *place <= newest);
        // One from before the step's evaluation is of no use beside the one after it.
        let (obsolete, older): (Vec<_>, Vec<_>) = older
            .into_iter()
            .partition(|(place, _)| place.step == newest.step && *place != newest);
        let beyond = older.into_iter().skip(self.save_total_limit.max(1));
        for (_, folder) in newer.into_iter().chain(obsolete).chain(beyond) {
            // What cannot be removed now is tried again after the next checkpoint.
            let _ = discard(&folder);
        }
    }

    /// The newest checkpoint that is whole; `passed_over` is told of those that are not.
    ///
    /// # Errors
    /// Where there are checkpoints, but none of this run that is whole.
    pub(crate) fn newest<S: DeserializeOwned>(
        &self,
        run: &Map<String, Value>,
        passed_over: &mut dyn FnMut(&Path, &str),
    ) -> Result<Option<Saved<S>>, TrainError> {
        Staging::remove_leftovers(&self.folder)?;
        let mut damaged = None;
        for (_, folder) in self.all() {
            match read(&folder, run) {
                Ok(saved) => return Ok(Some(saved)),
                Err(Unusable::Refused(error)) => return Err(error),
                Err(Unusable::Damaged(problem)) => {
                    passed_over(&folder, &problem);
                    damaged.get_or_insert((folder, problem));
                }
            }
        }
        let Some((path, problem)) = damaged else {
            return Ok(None);
        };
        let problem =
            format!("{problem}, and no other checkpoint is whole; give --force to start over");
        Err(TrainError::Checkpoint { path, problem })
    }
}

impl<S> Saved<S> {
    /// The tensors of one of the checkpoint's files, or `None` where it has no such file.
    pub(crate) fn tensors(
        &self,
        name: &str,
    ) -> Result<Option<BTreeMap<String, candle_core::Tensor>>, NnError> {
        let listed = self.files.contains_key(name);
        listed
            .then(|| load_tensors(&self.folder.join(name), &candle_core::Device::Cpu))
            .transpose()
    }
}

fn read<S: DeserializeOwned>(
    folder: &Path,
    run: &Map<String, Value>,
) -> Result<Saved<S>, Unusable> {
    let path = folder.join(STATE_FILE);
    let damaged =
        |problem: &dyn std::fmt::Display| Unusable::Damaged(format!("{STATE_FILE}: {problem}"));
    let text = std::fs::read_to_string(&path).map_err(|source| match source.kind() {
        std::io::ErrorKind::NotFound | std::io::ErrorKind::InvalidData => damaged(&source),
        _ => Unusable::Refused(
            PackageError::Read {
                path: path.clone(),
                source,
            }
            .into(),
        ),
    })?;
    let value: Value = serde_json::from_str(&text).map_err(|e| damaged(&e))?;
    match value.get("format").and_then(Value::as_u64) {
        Some(FORMAT) => {}
        Some(format) => {
            let problem = format!(
                "has format {format}, and this rtune reads {FORMAT}; go on with the rtune that wrote it"
            );
            return Err(Unusable::Refused(TrainError::Checkpoint { path, problem }));
        }
        None => return Err(damaged(&"has no format")),
    }
    if value.get(OWN_DIGEST).and_then(Value::as_str) != Some(&own_digest(&value)) {
        return Err(damaged(&"is damaged, or was edited"));
    }
    let file: StateFile<S> = serde_json::from_value(value).map_err(|e| damaged(&e))?;
    for (name, digest) in &file.files {
        match sha256_file(&folder.join(name)) {
            Ok(found) if found == *digest => {}
            Ok(_) => return Err(Unusable::Damaged(format!("{name} is damaged"))),
            Err(PackageError::Read { source, .. })
                if source.kind() == std::io::ErrorKind::NotFound =>
            {
                return Err(Unusable::Damaged(format!("{name} is missing")));
            }
            Err(error) => return Err(Unusable::Refused(error.into())),
        }
    }
    let differences = differences(&file.run, run);
    if differences.is_empty() {
        return Ok(Saved {
            folder: folder.to_owned(),
            state: file.state,
            files: file.files,
        });
    }
    let problem = format!(
        "belongs to a run with {}; give what that run had, another --output, or --force to start over",
        differences.join(", ")
    );
    Err(Unusable::Refused(TrainError::Checkpoint {
        path: folder.to_owned(),
        problem,
    }))
}

/// Removes a checkpoint. It is none from the first moment on; what a kill leaves of it is cleared
/// away later.
fn discard(folder: &Path) -> Result<(), PackageError> {
    let name = folder.file_name().unwrap_or_default().to_string_lossy();
    let leaving = folder.with_file_name(format!("{}{name}-removed", Staging::PARTIAL));
    let removed =
        std::fs::rename(folder, &leaving).and_then(|()| std::fs::remove_dir_all(&leaving));
    removed.map_err(PackageError::write(folder))
}

fn own_digest(state: &Value) -> String {
    sha256_hex(
        ["run", "files", "state"]
            .map(|part| state[part].to_string())
            .join("\n")
            .as_bytes(),
    )
}

/// What a checkpoint's run had otherwise, as a user would say it.
fn differences(saved: &Map<String, Value>, run: &Map<String, Value>) -> Vec<String> {
    let names = saved
        .keys()
        .chain(run.keys().filter(|name| !saved.contains_key(*name)));
    let names: Vec<&String> = names
        .filter(|name| saved.get(*name) != run.get(*name))
        .collect();
    // What a head starts from follows from the settings, so where one differs, the model's digest
    // tells nothing more.
    let is_told = |name: &&&String| {
        !name.starts_with("model_") || names.iter().all(|name| name.ends_with(DIGEST))
    };
    let tell = |name: &&String| match (saved.get(*name), run.get(*name)) {
        // Digests tell nothing to a reader.
        _ if name.ends_with(DIGEST) => {
            format!("other {}", name.trim_end_matches(DIGEST).replace('_', " "))
        }
        (Some(then), Some(now)) => format!("{name} {then} (now {now})"),
        (Some(then), None) => format!("{name} {then}"),
        (None, now) => format!("no {name} (now {})", now.unwrap_or(&Value::Null)),
    };
    names.iter().filter(is_told).map(tell).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // Tests.
mod tests {
    use super::*;

    fn checkpoints(folder: &Path, save_total_limit: usize) -> Checkpoints {
        Checkpoints {
            folder: folder.join("c"),
            save_steps: 1,
            save_total_limit,
        }
    }

    fn save(checkpoints: &Checkpoints, step: usize, evaluated: bool) -> PathBuf {
        let tensors = [(
            "a.safetensors",
            vec![("a".to_owned(), TensorRef::Slice(&[1.0, 2.0]))],
        )];
        checkpoints
            .save(Place { step, evaluated }, &Map::new(), step, &tensors)
            .unwrap()
    }

    fn names(checkpoints: &Checkpoints) -> Vec<String> {
        checkpoints
            .all()
            .iter()
            .map(|(place, _)| place.name())
            .collect()
    }

    fn newest(checkpoints: &Checkpoints) -> Result<Option<usize>, String> {
        let saved = checkpoints.newest::<usize>(&Map::new(), &mut |_, _| {});
        saved
            .map(|saved| saved.map(|s| s.state))
            .map_err(|e| e.to_string())
    }

    #[test]
    fn keeps_the_newest_and_the_evaluated() {
        let folder = tempfile::tempdir().unwrap();
        let checkpoints = checkpoints(folder.path(), 2);
        assert_eq!(newest(&checkpoints), Ok(None));
        for step in [5, 10, 15] {
            save(&checkpoints, step, true);
        }
        save(&checkpoints, 20, false);
        assert_eq!(
            names(&checkpoints),
            ["step-00000020-evaluating", "step-00000015"]
        );
        assert_eq!(newest(&checkpoints), Ok(Some(20)));
        save(&checkpoints, 20, true);
        assert_eq!(names(&checkpoints), ["step-00000020", "step-00000015"]);
    }

    #[test]
    fn a_damaged_newer_one_does_not_cost_a_good_one() {
        let folder = tempfile::tempdir().unwrap();
        let checkpoints = checkpoints(folder.path(), 1);
        save(&checkpoints, 5, true);
        let mut later = checkpoints.clone();
        later.save_total_limit = 9;
        std::fs::write(save(&later, 30, true).join("a.safetensors"), "").unwrap();
        assert_eq!(newest(&checkpoints), Ok(Some(5)));
        assert!(save(&checkpoints, 10, true).is_dir());
        assert_eq!(names(&checkpoints), ["step-00000010"]);
    }

    #[test]
    fn where_none_is_whole_nothing_is_taken_up_or_lost() {
        let folder = tempfile::tempdir().unwrap();
        let checkpoints = checkpoints(folder.path(), 2);
        std::fs::write(save(&checkpoints, 5, true).join("trainer_state.json"), "{").unwrap();
        assert!(newest(&checkpoints).unwrap_err().contains("--force"));
        assert_eq!(names(&checkpoints).len(), 1);
    }

    #[test]
    fn another_run_or_format_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let checkpoints = checkpoints(folder.path(), 2);
        let place = save(&checkpoints, 5, true);
        let run = Map::from_iter([
            ("seed".to_owned(), 7.into()),
            ("data_sha256".to_owned(), "a".into()),
        ]);
        let error = checkpoints
            .newest::<usize>(&run, &mut |_, _| {})
            .err()
            .unwrap()
            .to_string();
        assert!(
            error.contains("no seed (now 7)") && error.contains("other data"),
            "{error}"
        );
        let path = place.join("trainer_state.json");
        let text = std::fs::read_to_string(&path)
            .unwrap()
            .replace("\"format\": 1", "\"format\": 2");
        std::fs::write(path, text).unwrap();
        assert!(newest(&checkpoints).unwrap_err().contains("format 2"));
    }
}
