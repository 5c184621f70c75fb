//! The file by which an output folder says what it is.

use crate::{PackageError, layout, legacy};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// The kind of an output folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Kind {
    /// A fine-tuned model in Hugging Face layout.
    Model,
    /// An exported or quantized model: an ONNX file, its metadata and tokenizer.
    Onnx,
    /// The folder of a run: result, checkpoints and log.
    Run,
    /// One checkpoint of a run.
    Checkpoint,
}

/// The content of `.rtune.json`: kind, format version, and the names that rtune wrote.
///
/// Every output folder holds one. It answers the only question that replacing a folder asks: is
/// everything in it rtune's? A file that the marker does not name belongs to the user.
///
/// Folders of builds from before the marker have none; they are recognized by a frozen list of the
/// names that those builds wrote.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use rtune_package::{Kind, Marker, first_unknown_entry};
///
/// let folder = tempfile::tempdir()?;
/// std::fs::write(folder.path().join("model.onnx"), "")?;
/// Marker::of_folder(Kind::Onnx, folder.path())?.write(folder.path())?;
/// assert_eq!(first_unknown_entry(folder.path())?, None);
///
/// std::fs::write(folder.path().join("notes.txt"), "mine")?;
/// assert_eq!(first_unknown_entry(folder.path())?, Some(folder.path().join("notes.txt")));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Marker {
    /// The kind of the folder.
    pub kind: Kind,
    /// Version of the folder's layout, from 1.
    pub format: u32,
    /// Names at the top of the folder that rtune wrote, without the marker's own.
    pub entries: BTreeSet<String>,
}

impl Marker {
    /// Version of the layouts that this build writes. Raise it on every incompatible change.
    pub const FORMAT: u32 = 1;

    /// A marker for a folder that will hold `entries`.
    pub fn new<'a>(kind: Kind, entries: impl IntoIterator<Item = &'a str>) -> Self {
        Self {
            kind,
            format: Self::FORMAT,
            entries: entries.into_iter().map(ToOwned::to_owned).collect(),
        }
    }

    /// A marker for a folder as it is now.
    ///
    /// # Errors
    /// If the folder cannot be read.
    pub fn of_folder(kind: Kind, folder: &Path) -> Result<Self, PackageError> {
        let mut marker = Self::new(kind, []);
        for entry in std::fs::read_dir(folder).map_err(PackageError::read(folder))? {
            let entry = entry.map_err(PackageError::read(folder))?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if name != layout::MARKER {
                marker.entries.insert(name);
            }
        }
        Ok(marker)
    }

    /// Reads the marker of a folder; `None` if it has none.
    ///
    /// # Errors
    /// If the file exists and is not a marker.
    pub fn read(folder: &Path) -> Result<Option<Self>, PackageError> {
        let path = folder.join(layout::MARKER);
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(PackageError::read(path)(error)),
        };
        let parsed = serde_json::from_str(&text);
        parsed
            .map(Some)
            .map_err(|source| PackageError::Json { path, source })
    }

    /// Writes the marker into a folder.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn write(&self, folder: &Path) -> Result<(), PackageError> {
        let path = folder.join(layout::MARKER);
        let text = serde_json::to_string_pretty(self).map_err(|source| PackageError::Json {
            path: path.clone(),
            source,
        })?;
        std::fs::write(&path, text + "\n").map_err(PackageError::write(path))
    }

    /// Returns true if a newer build wrote the folder.
    pub fn is_newer(&self) -> bool {
        self.format > Self::FORMAT
    }
}

/// Returns an entry of a folder that rtune did not write: one that the folder's marker does not
/// name or, in a folder without a marker, that no build before the marker wrote. A file that is no
/// marker is such an entry itself. Folders inside are looked into if they have a marker.
///
/// # Errors
/// If a folder or its marker cannot be read.
pub fn first_unknown_entry(folder: &Path) -> Result<Option<PathBuf>, PackageError> {
    let marker = match Marker::read(folder) {
        Ok(marker) => marker,
        Err(PackageError::Json { path, .. }) => return Ok(Some(path)),
        Err(error) => return Err(error),
    };
    let is_known = |name: &str| {
        name == layout::MARKER
            || name.starts_with(layout::OWN_PREFIX)
            || match &marker {
                Some(marker) => marker.entries.contains(name),
                None => legacy::OUTPUTS.contains(&name),
            }
    };
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(PackageError::read(folder)(error)),
    };
    let paths = entries.map(|entry| entry.map(|entry| entry.path()));
    let paths: std::io::Result<Vec<PathBuf>> = paths.collect();
    let mut paths = paths.map_err(PackageError::read(folder))?;
    paths.sort();
    for path in paths {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if !is_known(&name) {
            return Ok(Some(path));
        }
        if path.is_dir() && path.join(layout::MARKER).exists() {
            let inside = first_unknown_entry(&path)?;
            if inside.is_some() {
                return Ok(inside);
            }
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(names: &[&str]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for name in names {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "").unwrap();
        }
        folder
    }

    #[test]
    fn marker_survives_a_round_trip() {
        let folder = folder(&["b", "a"]);
        assert_eq!(Marker::read(folder.path()).unwrap(), None);
        let marker = Marker::of_folder(Kind::Onnx, folder.path()).unwrap();
        marker.write(folder.path()).unwrap();
        assert_eq!(Marker::read(folder.path()).unwrap(), Some(marker.clone()));
        // Written twice, it still does not name itself.
        assert_eq!(
            Marker::of_folder(Kind::Onnx, folder.path()).unwrap(),
            marker
        );
        let text = std::fs::read_to_string(folder.path().join(layout::MARKER)).unwrap();
        assert!(text.contains("\"kind\": \"onnx\"") && text.contains("\"format\": 1"));
    }

    #[test]
    fn unknown_entries_are_found() {
        // Files, entries of the marker at the top, the unknown one.
        let cases: &[(&[&str], Option<&[&str]>, Option<&str>)] = &[
            (&["model.onnx"], None, None),
            (&["model.onnx", "notes.txt"], None, Some("notes.txt")),
            (&["model.onnx"], Some(&["model.onnx"]), None),
            (&["new.bin"], Some(&["new.bin"]), None),
            // A marker is exact: names of older builds do not count beside it.
            (&["vocab.txt"], Some(&["model.onnx"]), Some("vocab.txt")),
            (&[".rtune-previous-1/final/a"], Some(&[]), None),
            (&["final/mine"], Some(&["final"]), None),
        ];
        for (files, entries, expected) in cases {
            let folder = folder(files);
            if let Some(entries) = entries {
                let marker = Marker::new(Kind::Onnx, entries.iter().copied());
                marker.write(folder.path()).unwrap();
            }
            let expected = expected.map(|name| folder.path().join(name));
            assert_eq!(
                first_unknown_entry(folder.path()).unwrap(),
                expected,
                "{files:?}"
            );
        }
    }

    #[test]
    fn marked_folders_inside_are_looked_into() {
        let folder = folder(&["final/config.json", "final/mine"]);
        Marker::new(Kind::Run, [layout::FINAL])
            .write(folder.path())
            .unwrap();
        let inner = folder.path().join("final");
        Marker::new(Kind::Model, [layout::CONFIG])
            .write(&inner)
            .unwrap();
        assert_eq!(
            first_unknown_entry(folder.path()).unwrap(),
            Some(inner.join("mine"))
        );
    }

    #[test]
    fn broken_marker_is_unknown_itself() {
        let folder = folder(&["model.onnx"]);
        let path = folder.path().join(layout::MARKER);
        std::fs::write(&path, "{").unwrap();
        assert_eq!(first_unknown_entry(folder.path()).unwrap(), Some(path));
    }
}
