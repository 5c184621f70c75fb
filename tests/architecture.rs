//! The invariants of `crates/README.md`.

#![allow(clippy::unwrap_used)] // Tests.

use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

/// What each crate may use of rtune.
const ALLOWED: &[(&str, &[&str])] = &[
    ("rtune-interrupt", &[]),
    ("rtune-task", &[]),
    ("rtune-package", &["task"]),
    ("rtune-text", &[]),
    ("rtune-graph", &[]),
    ("rtune-runtime", &[]),
    ("rtune-data", &["task", "text"]),
    ("rtune-nn", &["task"]),
    (
        "rtune-train",
        &["data", "interrupt", "nn", "package", "task", "text"],
    ),
    ("rtune-onnx", &["graph"]),
    ("rtune-export", &["graph", "nn", "onnx"]),
    ("rtune-quant", &["graph", "interrupt", "onnx", "runtime"]),
    (
        "rtune",
        &[
            "data",
            "export",
            "graph",
            "interrupt",
            "nn",
            "onnx",
            "package",
            "quant",
            "runtime",
            "task",
            "text",
            "train",
        ],
    ),
    (
        "rtune-testkit",
        &["graph", "nn", "onnx", "runtime", "text", "package"],
    ),
    ("xtask", &["testkit"]),
];

/// Outside crates that only some may name.
const RESERVED: &[(&str, &[&str])] = &[
    ("prost", &["rtune-onnx"]),
    ("ort", &["rtune-runtime"]),
    (
        "candle-core",
        &[
            "rtune-nn",
            "rtune-train",
            "rtune-export",
            "rtune",
            "rtune-testkit",
        ],
    ),
    ("candle-nn", &["rtune-nn"]),
    ("tokenizers", &["rtune-text"]),
    ("safetensors", &["rtune-nn", "rtune-quant"]),
    ("anyhow", &["rtune", "xtask"]),
    ("clap", &["rtune"]),
    ("indicatif", &["rtune"]),
    ("tokio", &[]),
    ("reqwest", &[]),
    ("ureq", &[]),
];

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Each workspace crate's dependencies outside tests, by name.
fn dependencies() -> BTreeMap<String, BTreeSet<String>> {
    let output = Command::new(env!("CARGO"))
        .args([
            "metadata",
            "--format-version",
            "1",
            "--no-deps",
            "--offline",
        ])
        .current_dir(root())
        .output()
        .unwrap();
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let package = |package: &Value| {
        let used = package["dependencies"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|d| d["kind"].as_str() != Some("dev"));
        (
            text(&package["name"]),
            used.map(|d| text(&d["name"])).collect(),
        )
    };
    metadata["packages"]
        .as_array()
        .unwrap()
        .iter()
        .map(package)
        .collect()
}

#[test]
fn crates_use_only_what_the_map_allows() {
    let found = dependencies();
    for (name, used) in &found {
        if name == "rtune-workspace" {
            continue;
        }
        let allowed = ALLOWED
            .iter()
            .find(|(krate, _)| krate == name)
            .unwrap_or_else(|| panic!("{name} is not in the map"))
            .1;
        for inner in used.iter().filter_map(|used| used.strip_prefix("rtune-")) {
            assert!(
                allowed.contains(&inner),
                "{name} uses rtune-{inner}, which crates/README.md does not allow"
            );
        }
        for (outside, users) in RESERVED {
            assert!(
                !used.contains(*outside) || users.contains(&name.as_str()),
                "{name} names {outside}"
            );
        }
    }
    assert!(
        found["rtune-graph"].is_empty(),
        "rtune-graph knows nothing outside itself: {:?}",
        found["rtune-graph"]
    );
}

fn sources(folder: &Path) -> Vec<(PathBuf, String)> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(sources(&path));
        } else if path.extension().is_some_and(|e| e == "rs") {
            let text = std::fs::read_to_string(&path).unwrap();
            files.push((path, text));
        }
    }
    files
}

#[test]
fn only_programs_print_and_read_the_environment() {
    for (name, _) in ALLOWED
        .iter()
        .filter(|(name, _)| !["rtune", "xtask", "rtune-testkit"].contains(name))
    {
        for (path, text) in sources(&root().join("crates").join(name).join("src")) {
            for forbidden in ["println!", "eprintln!", "std::env::", "process::exit"] {
                assert!(
                    !text.contains(forbidden),
                    "{} uses {forbidden}",
                    path.display()
                );
            }
        }
    }
}

#[test]
fn no_forward_reads_a_dimension() {
    let nn = root().join("crates/rtune-nn/src");
    let mut files = sources(&nn.join("layers"));
    files.extend(sources(&nn.join("encoders")));
    for name in ["heads.rs", "model.rs"] {
        files.push((
            nn.join(name),
            std::fs::read_to_string(nn.join(name)).unwrap(),
        ));
    }
    assert!(files.len() > 6);
    for (path, text) in files {
        for forbidden in [".dim(", ".dims", ".shape()", ".elem_count("] {
            assert!(
                !text.contains(forbidden),
                "{} reads a dimension: {forbidden}",
                path.display()
            );
        }
    }
}

#[test]
fn every_crate_is_in_the_map() {
    let map = std::fs::read_to_string(root().join("crates/README.md")).unwrap();
    for (name, _) in ALLOWED {
        assert!(
            map.contains(&format!("`{name}`")),
            "crates/README.md does not mention {name}"
        );
    }
}
