//! Each command × each path that it takes × each kind of bad input. A cell damages one path of a
//! command that succeeds otherwise. The command must then fail with exit code 2 and one message
//! that names the path, and must leave every file as it was: the inputs, and the earlier output
//! that half of the cells are to replace. If some rows of a table are good, `predict` succeeds and
//! says which are not; if none is, it fails, but writes them with their faults.

mod bad;

use crate::setup::{self, Prepared, copy};
use bad::{Bad, Kind, link};
use libtest_mimic::{Completion, Failed, Trial};
use rtune_testkit::{fixtures, program, runtime_library};
use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::Path;
use std::process::{Command, Output};
use std::sync::{Arc, OnceLock};
use tempfile::TempDir;

use bad::Kind::{Binary, Folder, Json, Library, OneRow, Output as Out, Rows, Table, Texts, Toml};

/// A command that succeeds, and the paths that it takes. `OUT` stands for the output folder.
struct Row {
    command: &'static str,
    /// The folder of an earlier output, which the command replaces.
    earlier: Option<&'static str>,
    paths: &'static [(&'static str, Kind)],
}

const ROWS: &[Row] = &[
    Row {
        command: "finetune --model model --train train.csv --validation valid.csv \
                  --test test.csv --output OUT --max-length 24 --max-steps 1 --config run.toml",
        earlier: Some("run"),
        paths: &[
            ("model", Folder),
            ("model/config.json", Json),
            ("model/model.safetensors", Binary),
            ("model/tokenizer.json", Json),
            ("train.csv", Table),
            ("valid.csv", Table),
            ("test.csv", Table),
            ("run.toml", Toml),
            ("OUT", Out),
        ],
    },
    Row {
        command: "export --model tuned --output OUT --config run.toml",
        earlier: Some("onnx"),
        paths: &[
            ("tuned", Folder),
            ("tuned/config.json", Json),
            ("tuned/model.safetensors", Binary),
            ("tuned/tokenizer.json", Json),
            ("run.toml", Toml),
            ("OUT", Out),
        ],
    },
    Row {
        command: "verify --reference tuned --candidate onnx --data test.csv --config run.toml",
        earlier: None,
        paths: &[
            ("tuned", Folder),
            ("tuned/config.json", Json),
            ("tuned/model.safetensors", Binary),
            ("tuned/tokenizer.json", Json),
            ("onnx", Folder),
            ("onnx/model.onnx", Binary),
            ("test.csv", Table),
            ("run.toml", Toml),
            ("library.so", Library),
        ],
    },
    Row {
        command: "quantize --model onnx --calib train.csv --eval-data test.csv \
                  --max-metric-drop 1 --output OUT --config run.toml",
        earlier: Some("int8"),
        paths: &[
            ("onnx", Folder),
            ("onnx/model.onnx", Binary),
            ("onnx/metadata.json", Json),
            ("onnx/tokenizer.json", Json),
            ("train.csv", Table),
            ("test.csv", Table),
            ("run.toml", Toml),
            ("library.so", Library),
            ("OUT", Out),
        ],
    },
    Row {
        command: "evaluate --model tuned --data test.csv --config run.toml",
        earlier: None,
        paths: &[
            ("tuned", Folder),
            ("tuned/config.json", Json),
            ("tuned/model.safetensors", Binary),
            ("tuned/tokenizer.json", Json),
            ("test.csv", Table),
            ("run.toml", Toml),
        ],
    },
    Row {
        command: "predict --model int8 --input test.csv --config run.toml",
        earlier: None,
        paths: &[
            ("int8", Folder),
            ("int8/model.onnx", Binary),
            ("int8/metadata.json", Json),
            ("int8/tokenizer.json", Json),
            ("test.csv", Rows),
            ("run.toml", Toml),
            ("library.so", Library),
        ],
    },
    Row {
        command: "finetune --model model --train train.csv --validation test.csv --output half \
                  --max-length 24 --num-train-epochs 6 --train-batch-size 8 --learning-rate 3e-3 \
                  --decision mean",
        earlier: None,
        paths: &[
            ("half/checkpoints/step-00000070/trainer_state.json", Json),
            ("half/checkpoints/step-00000070/model.safetensors", Binary),
            (
                "half/checkpoints/step-00000070/optimizer.safetensors",
                Binary,
            ),
            (
                "half/checkpoints/step-00000070/best_model.safetensors",
                Binary,
            ),
        ],
    },
    Row {
        command: "verify --reference onnx --candidate int8 --data texts.txt --atol 100",
        earlier: None,
        paths: &[
            ("int8/model.onnx", Binary),
            ("int8", Folder),
            ("onnx/model.onnx", Binary),
            ("texts.txt", Texts),
        ],
    },
    Row {
        command: "quantize --model foreign.onnx --calib tensors/a.safetensors --output OUT",
        earlier: Some("int8"),
        paths: &[
            ("foreign.onnx", Binary),
            ("tensors/a.safetensors", Binary),
            ("OUT", Out),
        ],
    },
    Row {
        command: "evaluate --model onnx --data rows.jsonl",
        earlier: None,
        paths: &[
            ("onnx/model.onnx", Binary),
            ("onnx/metadata.json", Json),
            ("rows.jsonl", Table),
        ],
    },
    Row {
        command: "evaluate --model tuned --data rows.csv.gz",
        earlier: None,
        paths: &[("rows.csv.gz", Binary)],
    },
    Row {
        command: "verify --reference tuned --candidate onnx --data rows.parquet",
        earlier: None,
        paths: &[("rows.parquet", Binary)],
    },
    Row {
        command: "predict --model tuned --input rows.tsv",
        earlier: None,
        paths: &[
            ("tuned/config.json", Json),
            ("tuned/model.safetensors", Binary),
            ("rows.tsv", Rows),
        ],
    },
    Row {
        command: "predict --model tuned --input rows.jsonl --output OUT --output-format csv",
        earlier: Some("test.csv"),
        paths: &[("rows.jsonl", OneRow), ("OUT", Out)],
    },
    Row {
        command: "inspect int8/model.onnx --config run.toml",
        earlier: None,
        paths: &[("int8/model.onnx", Binary), ("run.toml", Toml)],
    },
    Row {
        command: "inspect --model int8",
        earlier: None,
        paths: &[("int8", Folder), ("int8/model.onnx", Binary)],
    },
    Row {
        command: "doctor --config run.toml",
        earlier: None,
        paths: &[("run.toml", Toml), ("library.so", Library)],
    },
];

/// Two rows of a table, compressed.
const GZIP: &[u8] =
    b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\x03\x2b\x49\xad\x28\xd1\xc9\x49\x4c\x4a\xcd\xe1\x2a\
    \xc9\x48\x55\x48\xcb\xcc\xc9\x55\x28\x4f\x2c\x56\x48\xcf\xcf\x4f\xd1\x31\x42\x15\x4b\x4a\
    \x4c\xd1\x31\xe0\x02\x00\xf4\x8f\x8d\x53\x32\x00\x00\x00";

/// Returns a trial for each command as it is, and one for each cell.
pub(crate) fn trials(prepared: &Arc<Prepared>) -> Vec<Trial> {
    let inputs = Arc::new(Inputs {
        prepared: Arc::clone(prepared),
        all: OnceLock::new(),
    });
    let mut trials = Vec::new();
    for (number, row) in ROWS.iter().enumerate() {
        let name = row.command.split(' ').next().unwrap_or_default();
        let place = format!("matrix_{name}_{number:02}");
        let (shared, trial) = (Arc::clone(&inputs), format!("{place}_works"));
        trials.push(Trial::test(trial, move || works(row, &shared)));
        for (path, kind) in row.paths {
            for bad in bad::ALL.into_iter().filter(|bad| bad.applies(*kind)) {
                let path_name = path.replace(['/', '.'], "_").to_lowercase();
                let trial = format!("{place}_{path_name}_{bad:?}").to_lowercase();
                let cell = Cell {
                    row,
                    path,
                    kind: *kind,
                    bad,
                    replaces: trials.len() % 2 == 0,
                };
                let shared = Arc::clone(&inputs);
                trials.push(Trial::ignorable_test(trial, move || cell.check(&shared)));
            }
        }
    }
    assert!(trials.len() > 300, "cells are missing");
    trials
}

/// A cell of the matrix.
struct Cell {
    row: &'static Row,
    path: &'static str,
    kind: Kind,
    bad: Bad,
    /// True if the output folder holds an earlier output, and the command is to replace it.
    replaces: bool,
}

impl Cell {
    fn check(&self, inputs: &Inputs) -> Result<Completion, Failed> {
        let folder = tempfile::tempdir()?;
        let at = |name: &str| folder.path().join(name);
        inputs.copy(self.row, folder.path())?;
        let mut line = self.row.command.to_owned();
        let mut output = "out".to_owned();
        let earlier = self
            .row
            .earlier
            .filter(|_| self.replaces && self.kind != Out);
        if let Some(earlier) = earlier {
            copy(&at(earlier), &at(&output))?;
            line += " --force";
        }
        match self.bad {
            Bad::BelowFile => output = "test.csv/out".to_owned(),
            Bad::LongName => output = "o".repeat(300),
            _ => {}
        }
        let path = self.path.replace("OUT", &output);
        self.bad.apply(&at(&path), self.kind)?;
        let mut before = contents(folder.path(), Path::new(""));
        let found = run(&line.replace("OUT", &output), folder.path())?;
        self.check_message(&found, &path)?;
        let mut after = contents(folder.path(), Path::new(""));
        if self.bad.writes_rows(self.kind) {
            let rows = std::fs::read_to_string(at(&output))?;
            if !rows.starts_with("line,text,label,") || rows.lines().count() < 2 {
                return Err(format!("the output is `{rows}`").into());
            }
            before.remove(&output);
            after.remove(&output);
        }
        match before == after {
            true => Ok(Completion::Completed),
            false => Err(changes(&before, &after).into()),
        }
    }

    /// True if a message names a path, or a folder and the file in it. Of a path below a file, the
    /// file is enough.
    fn is_named(&self, text: &str, path: &str) -> bool {
        let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
        let name = if self.bad == Bad::BelowFile { "" } else { name };
        text.contains(path) || text.contains(folder) && text.contains(name)
    }

    fn check_message(&self, found: &Output, path: &str) -> Result<(), Failed> {
        let stderr = String::from_utf8_lossy(&found.stderr).into_owned();
        let stdout = String::from_utf8_lossy(&found.stdout).into_owned();
        let code = found.status.code();
        // The report of `doctor` has the state of the library, whatever it is.
        let is_report = self.row.command.starts_with("doctor") && self.kind == Library;
        let (errors, text) = match is_report {
            true => (1, &stdout),
            false => (stderr.matches("error:").count(), &stderr),
        };
        let noise = [
            "panicked",
            "backtrace",
            "\n   0: ",
            ":onnxruntime:",
            "\u{1b}[",
        ];
        let marks = self.bad.leaves_rows(self.kind);
        let has_result = marks || is_report || self.bad.writes_rows(self.kind);
        let problem = match () {
            () if marks && code != Some(0) => "the exit code is not 0",
            () if marks && errors != 0 => "an error beside the result",
            () if marks && stdout.is_empty() => "no result",
            () if !marks && code != Some(2) => "the exit code is not 2",
            () if !marks && errors != 1 => "not one error",
            () if !self.is_named(text, path) => "the path is not named",
            () if stderr.len() > 4096 => "the message is too long",
            () if noise.iter().any(|noise| stderr.contains(noise)) => "noise",
            () if !has_result && !stdout.is_empty() => "a result beside the error",
            () => return Ok(()),
        };
        let end = text
            .char_indices()
            .nth(600)
            .map_or(text.len(), |(at, _)| at);
        Err(format!("{problem}: exit {code:?}, {path}\n{}", &text[..end]).into())
    }
}

/// The command without bad input succeeds, and writes its output.
fn works(row: &Row, inputs: &Inputs) -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    inputs.copy(row, folder.path())?;
    let found = run(&row.command.replace("OUT", "out"), folder.path())?;
    let is_written = folder.path().join("out").exists();
    match found.status.success() && is_written == row.earlier.is_some() {
        true => Ok(()),
        false => Err(String::from_utf8_lossy(&found.stderr).into_owned().into()),
    }
}

/// The inputs of all rows, in one folder.
struct Inputs {
    prepared: Arc<Prepared>,
    all: OnceLock<TempDir>,
}

impl Inputs {
    /// Copies the files and folders that a command names, and its earlier output, to a folder.
    fn copy(&self, row: &Row, folder: &Path) -> Result<(), Failed> {
        let make = || {
            let all = tempfile::tempdir().unwrap();
            self.write(all.path()).unwrap();
            all
        };
        let all = self.all.get_or_init(make).path();
        let words = row.command.split_whitespace().chain(row.earlier);
        let names = words.filter_map(|word| word.split('/').next());
        let names: BTreeSet<&str> = names.chain(["test.csv"]).collect();
        for name in names.into_iter().filter(|name| all.join(name).exists()) {
            copy(&all.join(name), &folder.join(name))?;
        }
        std::fs::create_dir(folder.join("tmp"))?;
        Ok(link(&runtime_library(), &folder.join("library.so"))?)
    }

    fn write(&self, folder: &Path) -> Result<(), Failed> {
        let at = |name: &str| folder.join(name);
        let write = |name: &str, content: &[u8]| std::fs::write(at(name), content);
        copy(self.prepared.int8(), folder)?;
        copy(&at("run/final"), &at("tuned"))?;
        copy(&at("test.csv"), &at("valid.csv"))?;
        // An interrupted run: all but its result and last checkpoint. The one before is of a step
        // without evaluation, so it has the parameters of the best model as well.
        std::fs::create_dir(at("half"))?;
        for name in ["checkpoints", "metrics.jsonl", ".rtune.json"] {
            copy(&at("run").join(name), &at("half").join(name))?;
        }
        std::fs::remove_dir_all(at("half/checkpoints/step-00000072"))?;
        let rows = std::fs::read_to_string(at("test.csv"))?;
        write("rows.tsv", rows.replace(',', "\t").as_bytes())?;
        let object = b"{\"text\": \"the film was good\", \"label\": 2}\n";
        write("rows.jsonl", object)?;
        write("texts.txt", b"the film was good\nthe film was bad\n")?;
        write("rows.csv.gz", GZIP)?;
        write("run.toml", b"threads = 1\njson = false\n")?;
        copy(&fixtures().join("data/none.parquet"), &at("rows.parquet"))?;
        write("foreign.onnx", &setup::foreign("product")?)?;
        let tensors = at("tensors/a.safetensors");
        setup::tensor(&tensors, "pixels", "f32", &["2"])
    }
}

fn run(line: &str, folder: &Path) -> std::io::Result<Output> {
    Command::new(program())
        .env("ORT_DYLIB_PATH", "library.so")
        .env("RUST_BACKTRACE", "1")
        // A file left behind there is found, too.
        .env("TMPDIR", folder.join("tmp"))
        .current_dir(folder)
        .args(line.split_whitespace())
        .output()
}

/// Returns each path below a folder with a digest of its content.
fn contents(folder: &Path, below: &Path) -> BTreeMap<String, u64> {
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(folder.join(below)).unwrap().flatten() {
        let name = below.join(entry.file_name());
        let path = folder.join(&name);
        let data = std::fs::symlink_metadata(&path).unwrap();
        let mut digest = DefaultHasher::new();
        if data.is_dir() {
            found.extend(contents(folder, &name));
        } else if data.is_symlink() {
            std::fs::read_link(&path).unwrap().hash(&mut digest);
        } else {
            std::fs::read(&path).unwrap().hash(&mut digest);
        }
        found.insert(name.to_string_lossy().into_owned(), digest.finish());
    }
    found
}

fn changes(before: &BTreeMap<String, u64>, after: &BTreeMap<String, u64>) -> String {
    let mut lines = vec!["files are not as they were:".to_owned()];
    for (name, digest) in before {
        match after.get(name) {
            None => lines.push(format!("- {name}")),
            Some(other) if other != digest => lines.push(format!("! {name}")),
            Some(_) => {}
        }
    }
    let new = after.keys().filter(|name| !before.contains_key(*name));
    lines.extend(new.map(|name| format!("+ {name}")));
    lines.join("\n")
}
