//! The program as a whole. Because this test names the program, `cargo test` builds it.

#![expect(
    clippy::unwrap_used,
    reason = "a failure in a test's own work is the test's failure"
)]

use std::process::{Command, Output};

fn rtune(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rtune"));
    command.args(arguments).output().unwrap()
}

#[test]
fn version_is_that_of_the_package() {
    let output = rtune(&["--version"]);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(text.trim(), format!("rtune {}", env!("CARGO_PKG_VERSION")));
}

#[test]
fn help_describes_every_command_and_the_exit_codes() {
    let output = rtune(&["--help"]);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    for command in [
        "finetune", "export", "verify", "quantize", "evaluate", "predict", "inspect", "doctor",
    ] {
        let line = text.lines().map(str::trim).find(|l| l.starts_with(command));
        let description = line.unwrap_or_default().trim_start_matches(command).trim();
        assert!(description.len() > 10, "{command}: {text}");
        assert!(rtune(&[command, "--help"]).status.success(), "{command}");
    }
    assert!(text.contains("Exit codes"), "{text}");
}

#[test]
fn an_unknown_command_is_bad_usage() {
    assert_eq!(rtune(&["fine-tune"]).status.code(), Some(2));
}
