//! Runs on a machine that is taken back, and what receives their checkpoints.

#![cfg(unix)]
#![expect(
    clippy::unwrap_used,
    reason = "a failure in a test's own work is the test's failure"
)]

use rtune_testkit::{FINETUNE, MetadataService, json, program, rtune, tiny_workspace};
use serde_json::Value;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

const INTERRUPTION: &str = "/latest/meta-data/spot/instance-action";
const REBALANCE: &str = "/latest/meta-data/events/recommendations/rebalance";
const TERMINATE: &str = r#"{"action": "terminate", "time": "2026-09-18T08:22:00Z"}"#;

fn start(folder: &Path, arguments: &[&str]) -> Child {
    let mut command = Command::new(program());
    command.args(FINETUNE).args(arguments).current_dir(folder);
    let streams = command.stdout(Stdio::piped()).stderr(Stdio::piped());
    streams.spawn().unwrap()
}

fn message(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).into_iter().flatten();
    let names = entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned());
    let mut names: Vec<String> = names.filter(|name| !name.starts_with('.')).collect();
    names.sort();
    names
}

/// Writes a program that is run by the shell.
fn script(folder: &Path, text: &str) {
    let path = folder.join("hook.sh");
    std::fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
    let permissions = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(path, permissions).unwrap();
}

/// A recommendation is a checkpoint, a notice the end. The hook has the last checkpoint, from which
/// another machine goes on to the result of a run that was never stopped.
#[test]
fn a_machine_that_is_taken_back_leaves_a_checkpoint_with_the_hook() {
    let folder = tiny_workspace();
    let folder = folder.path();
    script(folder, "mkdir -p mirror && cp -r \"$1\" mirror/");
    let service = MetadataService::start();
    service.set(REBALANCE, 200, r#"{"noticeTime": "2026-09-18T08:20:00Z"}"#);
    let address = service.address();
    let spot = ["--spot", "aws", "--spot-endpoint", &address];
    let hook = ["--save-hook", "hook.sh", "--train-batch-size", "8"];
    let long = ["--num-train-epochs", "2000", "--save-steps", "100000"];
    let child = start(folder, &[&spot[..], &hook, &long].concat());
    while names(&folder.join("mirror")).is_empty() {
        std::thread::sleep(Duration::from_millis(5));
    }
    service.set(INTERRUPTION, 200, TERMINATE);
    let output = child.wait_with_output().unwrap();
    let text = message(&output);
    assert_eq!(output.status.code(), Some(75), "{text}");
    for expected in [
        "note: since 2026-09-18T08:20:00Z AWS advises to leave this spot instance",
        "AWS will terminate this spot instance at 2026-09-18T08:22:00Z, so the run stops",
        "interrupted; run the same command again to go on from run/checkpoints/step-",
    ] {
        assert!(text.contains(expected), "{text}");
    }
    let checkpoints = names(&folder.join("run/checkpoints"));
    let mirror = names(&folder.join("mirror"));
    assert_eq!(checkpoints.len(), 2, "{checkpoints:?}");
    assert!(checkpoints.iter().all(|name| mirror.contains(name)));
    // The notice is still there when a job is started again on the same machine.
    let again = start(folder, &[&spot[..], &hook, &long].concat());
    let output = again.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(75), "{}", message(&output));
}

#[test]
fn a_mirrored_run_goes_on_elsewhere_to_the_same_bytes() {
    let folder = tiny_workspace();
    let folder = folder.path();
    script(
        folder,
        "mkdir -p copy/checkpoints && cp -r \"$1\" copy/checkpoints/",
    );
    let flags = ["--train-batch-size", "8", "--save-steps", "5"];
    json(
        folder,
        &[&FINETUNE[..], &flags, &["--save-hook", "./hook.sh"]].concat(),
    );
    let copied = names(&folder.join("copy/checkpoints"));
    assert!(copied.len() > 3, "{copied:?}");
    // All but the last two checkpoints.
    for name in &copied[copied.len() - 2..] {
        std::fs::remove_dir_all(folder.join("copy/checkpoints").join(name)).unwrap();
    }
    let files = ["finetune", "--model", "model", "--train", "train.csv"];
    let more = [
        "--validation",
        "test.csv",
        "--max-length",
        "24",
        "--output",
        "copy",
    ];
    let output = rtune(folder, &[&files[..], &more, &flags].concat());
    assert_eq!(output.status.code(), Some(0), "{}", message(&output));
    assert!(message(&output).contains("resuming from copy/checkpoints/step-"));
    let of = |run: &str| std::fs::read(folder.join(run).join("final/model.safetensors")).unwrap();
    assert!(of("run") == of("copy"));
}

#[test]
fn a_hook_that_fails_is_a_warning_and_its_output_is_no_result() {
    let folder = tiny_workspace();
    let folder = folder.path();
    script(folder, "echo \"a line of the hook\"; exit 3");
    let hook = ["--save-hook", "hook.sh", "--max-steps", "2", "--json"];
    let output = rtune(folder, &[&FINETUNE[..], &hook].concat());
    let text = message(&output);
    assert_eq!(output.status.code(), Some(0), "{text}");
    assert!(serde_json::from_slice::<Value>(&output.stdout).is_ok());
    assert!(text.contains("a line of the hook"), "{text}");
    let expected = "warning: the save hook failed for run/checkpoints/step-00000002: ";
    assert!(
        text.contains(expected) && text.contains("exit status: 3"),
        "{text}"
    );
}

/// A hook that takes longer than training keeps its checkpoint, and the run waits for it.
#[test]
fn a_slow_hook_keeps_its_checkpoints_until_it_is_done() {
    let folder = tiny_workspace();
    let folder = folder.path();
    script(
        folder,
        "sleep 0.3; ls \"$1\" >> seen; test -f \"$1/trainer_state.json\"",
    );
    let flags = [
        "--save-steps",
        "1",
        "--save-total-limit",
        "1",
        "--max-steps",
        "6",
    ];
    let output = rtune(
        folder,
        &[&FINETUNE[..], &flags, &["--save-hook", "hook.sh"]].concat(),
    );
    let text = message(&output);
    assert_eq!(output.status.code(), Some(0), "{text}");
    assert!(!text.contains("warning: the save hook"), "{text}");
    assert!(
        text.contains("the save hook is still at work; the run waits"),
        "{text}"
    );
    let seen = std::fs::read_to_string(folder.join("seen")).unwrap();
    assert!(seen.matches("trainer_state.json").count() >= 6, "{seen}");
    let left = names(&folder.join("run/checkpoints"));
    assert_eq!(left.len(), 1, "{left:?}");
}

#[test]
fn a_machine_without_notices_trains_as_ever() {
    let folder = tiny_workspace();
    let folder = folder.path();
    let service = MetadataService::start();
    service.set("/latest/meta-data/instance-life-cycle", 200, "on-demand");
    let address = service.address();
    let steps = ["--max-steps", "2", "--force", "--spot-endpoint", &address];
    let run = |spot: &str| {
        let output = rtune(folder, &[&FINETUNE[..], &steps, &["--spot", spot]].concat());
        (output.status.code(), message(&output))
    };
    let (code, text) = run("aws");
    assert_eq!(code, Some(0), "{text}");
    assert!(
        text.contains("the life cycle of this machine is on-demand"),
        "{text}"
    );
    let (code, text) = run("auto");
    assert_eq!(code, Some(0), "{text}");
    assert!(!text.contains("life cycle"), "{text}");
    service.set("/latest/api/token", 403, "");
    let (code, text) = run("auto");
    assert_eq!(code, Some(0), "{text}");
    let (code, text) = run("aws");
    assert_eq!(code, Some(2), "{text}");
    let expected = "gives no token, status 403; it may be switched off for this instance";
    assert!(text.contains(expected), "{text}");
}
