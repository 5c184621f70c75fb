use crate::runtime_library;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The path of the program, built beside the tests.
///
/// # Panics
/// If the program is not built.
pub fn program() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let path = test
        .ancestors()
        .nth(2)
        .unwrap()
        .join(format!("rtune{}", std::env::consts::EXE_SUFFIX));
    assert!(
        path.is_file(),
        "{} is not built; run `cargo build --release`, or all tests with `cargo xtask test`",
        path.display()
    );
    path
}

/// Runs the program in `folder`.
///
/// # Panics
/// If the program cannot be started.
pub fn rtune(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(program());
    command
        .env("ORT_DYLIB_PATH", runtime_library())
        .current_dir(folder)
        .args(arguments)
        .output()
        .unwrap()
}

/// Runs the program with `--json` and returns the document that it prints.
///
/// # Panics
/// If the program fails, or prints no JSON.
pub fn json(folder: &Path, arguments: &[&str]) -> Value {
    let output = rtune(folder, &[arguments, &["--json"]].concat());
    assert!(
        output.status.success(),
        "rtune {arguments:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    serde_json::from_slice(&output.stdout).unwrap()
}
