//! The state that a process inherits: signals, limits, streams, folders and variables.

#![cfg(unix)]
#![expect(
    clippy::unwrap_used,
    reason = "a failure in a test's own work is the test's failure"
)]

use rtune_testkit::{FINETUNE, program, runtime_library, tiny_workspace};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

/// Runs a shell command in which `rtune` is the program.
fn shell(folder: &Path, command: &str) -> Output {
    start(folder, command).wait_with_output().unwrap()
}

fn start(folder: &Path, command: &str) -> Child {
    let function = format!("rtune() {{ '{}' \"$@\"; }}\n", program().display());
    Command::new("sh")
        .env("ORT_DYLIB_PATH", runtime_library())
        .current_dir(folder)
        .args(["-c", &(function + command)])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

fn message(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A run that writes a checkpoint after every second step; `exec` gives it the process of the
/// shell.
fn long_run(epochs: usize) -> String {
    let finetune = FINETUNE.join(" ");
    format!(
        "exec '{}' {finetune} --train-batch-size 8 --save-steps 2 --num-train-epochs {epochs}",
        program().display()
    )
}

/// Starts a run, sends it signals once it has a checkpoint, and waits for its end.
fn signal(folder: &Path, before: &str, epochs: usize, signals: &[&str]) -> Output {
    let child = start(folder, &format!("{before} {}", long_run(epochs)));
    let is_there = || {
        let mut entries = std::fs::read_dir(folder.join("run/checkpoints"))
            .into_iter()
            .flatten();
        entries.any(|e| {
            e.unwrap()
                .file_name()
                .to_string_lossy()
                .starts_with("step-")
        })
    };
    while !is_there() {
        std::thread::sleep(Duration::from_millis(2));
    }
    for signal in signals {
        let pid = child.id().to_string();
        let sent = Command::new("kill").args(["-s", signal, &pid]).status();
        assert!(sent.unwrap().success());
    }
    child.wait_with_output().unwrap()
}

#[test]
fn every_signal_that_asks_for_an_end_leaves_a_checkpoint() {
    for name in ["HUP", "USR1", "USR2"] {
        let folder = tiny_workspace();
        let output = signal(folder.path(), "", 600, &[name]);
        assert_eq!(
            output.status.code(),
            Some(75),
            "{name}: {}",
            message(&output)
        );
        assert!(message(&output).contains("run the same command again"));
        assert!(!folder.path().join("run/final").exists());
    }
}

/// `nohup` ignores SIGHUP; a shell without job control ignores SIGINT in the background.
#[test]
fn a_signal_that_is_ignored_at_the_start_stays_ignored() {
    for name in ["HUP", "INT", "TERM", "USR1", "USR2"] {
        let folder = tiny_workspace();
        let output = signal(folder.path(), &format!("trap '' {name};"), 40, &[name]);
        assert_eq!(
            output.status.code(),
            Some(0),
            "{name}: {}",
            message(&output)
        );
        assert!(folder.path().join("run/final/model.safetensors").is_file());
    }
}

/// Waits until a process catches SIGINT, or no longer does.
#[cfg(target_os = "linux")]
fn await_handler(child: &Child, is_caught: bool) {
    const SIGINT: u32 = 2;
    let catches = || {
        let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
        let mask = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
        let mask = u64::from_str_radix(mask.unwrap().trim(), 16).unwrap();
        mask & (1 << (SIGINT - 1)) != 0
    };
    while catches() != is_caught {
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// The program waits for rows that never come, so it does not get as far as a check.
#[test]
#[cfg(target_os = "linux")]
fn the_second_ctrl_c_ends_the_program_at_once() {
    use std::os::unix::process::ExitStatusExt as _;
    let folder = tiny_workspace();
    let pipe = Command::new("mkfifo")
        .arg(folder.path().join("rows.csv"))
        .status();
    assert!(pipe.unwrap().success());
    let program = program();
    let command = format!(
        "exec '{}' finetune --model model --train rows.csv --output run",
        program.display()
    );
    let child = start(folder.path(), &command);
    for is_caught in [true, false] {
        await_handler(&child, is_caught);
        let pid = child.id().to_string();
        assert!(
            Command::new("kill")
                .args(["-s", "INT", &pid])
                .status()
                .unwrap()
                .success()
        );
    }
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.signal(), Some(2), "{}", message(&output));
}

#[test]
fn the_umask_decides_who_can_read_an_output() {
    use std::os::unix::fs::PermissionsExt as _;
    let finetune = format!("rtune {} --max-steps 1", FINETUNE.join(" "));
    for (umask, folders, files) in [("027", 0o750, 0o640), ("002", 0o775, 0o664)] {
        let folder = tiny_workspace();
        // A model of a read-only cache.
        let shared = folder.path().join("model/tokenizer.json");
        std::fs::set_permissions(shared, std::fs::Permissions::from_mode(0o444)).unwrap();
        let export = "rtune export --model run --output onnx";
        let output = shell(
            folder.path(),
            &format!("umask {umask}; {finetune} && {export}"),
        );
        assert_eq!(output.status.code(), Some(0), "{}", message(&output));
        let mode = |path: &str| {
            let mode = std::fs::metadata(folder.path().join(path))
                .unwrap()
                .permissions()
                .mode();
            mode & 0o7777
        };
        let of_folders = ["run", "run/final", "run/checkpoints/step-00000001", "onnx"];
        for path in of_folders {
            assert_eq!(mode(path), folders, "{path}: {:o}", mode(path));
        }
        for path in [
            "run/metrics.jsonl",
            "run/final/model.safetensors",
            "run/final/config.json",
            "run/final/tokenizer.json",
            "run/checkpoints/step-00000001/trainer_state.json",
            "onnx/model.onnx",
            "onnx/tokenizer.json",
        ] {
            assert_eq!(mode(path), files, "{path}: {:o}", mode(path));
        }
    }
}

/// As a full disk, for which a test would need a file system of its own.
#[test]
fn a_limit_of_file_size_is_an_error_and_leaves_nothing_behind() {
    let folder = tiny_workspace();
    let finetune = format!("rtune {} --max-steps 1", FINETUNE.join(" "));
    let output = shell(folder.path(), &format!("ulimit -f 8; {finetune}"));
    let message = message(&output);
    assert_eq!(output.status.code(), Some(1), "{message}");
    let error = "error: run/checkpoints/step-00000001: this checkpoint cannot be written";
    assert!(message.contains(error), "{message}");
    assert_eq!(message.matches("File too large").count(), 1, "{message}");
    assert!(!folder.path().join("run").exists());
}

#[test]
fn streams_that_are_closed_or_full_do_not_change_more_than_they_must() {
    let folder = tiny_workspace();
    let finetune = format!("rtune {} --max-steps 1 --force", FINETUNE.join(" "));
    let failing = "rtune evaluate --model nothing --data test.csv";
    let cases = [
        (format!("{finetune} >&-"), 0),
        (format!("{finetune} 2>&-"), 0),
        (format!("{finetune} <&-"), 0),
        (format!("{finetune} 2>/dev/full"), 0),
        (format!("{finetune} >/dev/full"), 1),
        ("rtune finetune --help >/dev/full".to_owned(), 1),
        (format!("{failing} 2>/dev/full"), 2),
        (format!("{failing} 2>&-"), 2),
        (
            format!("{{ {failing}; echo $? >code; }} 2>&1 | true; sleep 0.1; exit $(cat code)"),
            2,
        ),
        (
            "{ rtune --help; echo $? >code; } | true; sleep 0.1; exit $(cat code)".to_owned(),
            0,
        ),
    ];
    for (command, code) in cases {
        let output = shell(folder.path(), &command);
        assert_eq!(
            output.status.code(),
            Some(code),
            "{command}: {}",
            message(&output)
        );
        assert!(!message(&output).contains("panicked"), "{command}");
        if command.ends_with("help >/dev/full") {
            let expected = "error: standard output: No space left on device (os error 28)\n";
            assert_eq!(message(&output), expected);
        }
    }
    assert!(folder.path().join("run/final/model.safetensors").is_file());
}

#[test]
fn variables_and_folders_that_are_missing_are_named_or_not_needed() {
    let folder = tiny_workspace();
    let folder = folder.path();
    rtune_testkit::tiny_export(folder);
    let here = folder.display();
    let quantize = "rtune quantize --model onnx --calib train.csv --output int8";
    let gone = "mkdir gone; cd gone; rmdir ../gone;";
    for (command, code, expected) in [
        (format!("TMPDIR=/nowhere {quantize}"), 0, ""),
        (
            "TMPDIR=/nowhere rtune inspect onnx".to_owned(),
            2,
            "error: /nowhere: no temporary folder can be made there (entity not found); set TMPDIR",
        ),
        ("TMPDIR=. rtune inspect onnx".to_owned(), 0, ""),
        (
            "unset HOME; rtune predict --model run 'a good film'".to_owned(),
            0,
            "",
        ),
        (
            "LC_ALL=C rtune predict --model run 'ein schöner film'".to_owned(),
            0,
            "",
        ),
        (
            format!("{gone} rtune predict --model {here}/run 'a good film'"),
            0,
            "",
        ),
        (
            format!("{gone} rtune export --model {here}/run --output onnx"),
            2,
            "error: .: cannot be written: No such file or directory",
        ),
    ] {
        let output = shell(folder, &command);
        assert_eq!(
            output.status.code(),
            Some(code),
            "{command}: {}",
            message(&output)
        );
        assert!(
            message(&output).contains(expected),
            "{command}: {}",
            message(&output)
        );
    }
}
