//! Runs other programs.

use anyhow::{Context as _, Result, bail};
use std::ffi::OsStr;
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// The root of the source tree.
pub(crate) fn root() -> PathBuf {
    let here = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).map_or(here.clone(), PathBuf::from)
}

pub(crate) fn cargo(arguments: &[&str]) -> Result<()> {
    cargo_with(arguments, &[])
}

pub(crate) fn cargo_with(arguments: &[&str], environment: &[(&str, &OsStr)]) -> Result<()> {
    run(&mut cargo_command(arguments, environment))
}

fn cargo_command(arguments: &[&str], environment: &[(&str, &OsStr)]) -> Command {
    let program = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(program);
    command
        .args(arguments)
        .envs(environment.iter().copied())
        .current_dir(root());
    command
}

/// Runs a build and returns the names and paths of the programs that it made.
pub(crate) fn cargo_executables(
    arguments: &[&str],
    environment: &[(&str, &OsStr)],
) -> Result<Vec<(String, PathBuf)>> {
    let mut command = cargo_command(arguments, environment);
    command.args(["--message-format", "json-render-diagnostics"]);
    let messages = output(&mut command)?;
    let messages = String::from_utf8_lossy(&messages).into_owned();
    let found = messages.lines().filter_map(|line| {
        let message: serde_json::Value = serde_json::from_str(line).ok()?;
        let path = message["executable"].as_str()?;
        Some((message["target"]["name"].as_str()?.to_owned(), path.into()))
    });
    Ok(found.collect())
}

/// Builds rtune and returns its path.
pub(crate) fn built_program() -> Result<PathBuf> {
    cargo(&["build", "--release", "--package", "rtune"])?;
    let target = std::env::var_os("CARGO_TARGET_DIR");
    let target = target.map_or_else(|| root().join("target"), PathBuf::from);
    let name = format!("rtune{}", std::env::consts::EXE_SUFFIX);
    Ok(target.join("release").join(name))
}

/// Returns true if a program of this name is on the path.
pub(crate) fn is_installed(program: &str) -> bool {
    let mut command = Command::new(program);
    let command = command
        .arg("--version")
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// Runs a program that prints for itself.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let shown = show(command);
    let status = command
        .status()
        .with_context(|| format!("cannot run {shown}"))?;
    if !status.success() {
        bail!("{shown}: {status}");
    }
    Ok(())
}

/// Runs a program and returns its stdout; its stderr is shown.
pub(crate) fn output(command: &mut Command) -> Result<Vec<u8>> {
    let shown = show(command);
    let output = command
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| format!("cannot run {shown}"))?;
    if !output.status.success() {
        bail!("{shown}: {}", output.status);
    }
    Ok(output.stdout)
}

/// Runs a program silently. On failure, the error holds the last lines of its stderr.
pub(crate) fn quiet(command: &mut Command) -> Result<()> {
    let shown = show(command);
    let output = command
        .output()
        .with_context(|| format!("cannot run {shown}"))?;
    if output.status.success() {
        return Ok(());
    }
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    let last: Vec<&str> = text
        .lines()
        .filter(|line| !line.trim().is_empty())
        .rev()
        .take(2)
        .collect();
    bail!(
        "{}: {}",
        output.status,
        last.into_iter().rev().collect::<Vec<_>>().join(" / ")
    )
}

fn show(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words
        .map(|word| word.to_string_lossy())
        .collect::<Vec<_>>()
        .join(" ")
}
