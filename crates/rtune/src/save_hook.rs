//! `--save-hook`: a program that receives checkpoints.

use crate::exit::usage;
use anyhow::Result;
use rtune_train::{HookError, SaveHook};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A program that is run with the folder of a checkpoint as its argument.
#[derive(Debug)]
pub(crate) struct Program(PathBuf);

impl Program {
    /// Finds the program, so that a wrong name is no surprise hours later.
    ///
    /// # Errors
    /// If there is no such file, or it cannot be run.
    pub(crate) fn find(path: &Path) -> Result<Self> {
        let place = path.display();
        let fail = |problem: String| usage(format!("--save-hook: {place}: {problem}"));
        let metadata = std::fs::metadata(path).map_err(|error| fail(error.to_string()))?;
        if !metadata.is_file() {
            return Err(fail("is no file".to_owned()));
        }
        if !is_executable(&metadata) {
            return Err(fail("is not executable".to_owned()));
        }
        // A name without folder would be looked up among the system's programs.
        Ok(Self(std::path::absolute(path)?))
    }
}

#[cfg(unix)]
fn is_executable(metadata: &std::fs::Metadata) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    metadata.permissions().mode() & 0o111 != 0
}

#[cfg(not(unix))]
fn is_executable(_: &std::fs::Metadata) -> bool {
    true
}

impl SaveHook for Program {
    fn saved(&mut self, checkpoint: &Path) -> Result<(), HookError> {
        let mut command = Command::new(&self.0);
        command.arg(std::path::absolute(checkpoint)?);
        // The standard output is for the result of the run.
        command.stdin(Stdio::null()).stdout(std::io::stderr());
        #[cfg(unix)]
        {
            use std::os::unix::process::CommandExt as _;
            // Ctrl-C in a terminal goes to a whole group; the program is to finish its work.
            command.process_group(0);
        }
        let place = self.0.display();
        match command.status() {
            Ok(status) if status.success() => Ok(()),
            Ok(status) => Err(format!("{place}: {status}").into()),
            Err(error) => Err(format!("{place}: {error}").into()),
        }
    }
}
