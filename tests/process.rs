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

/// Starts a run and sends it a signal once it has a checkpoint.
fn signal(folder: &Path, before: &str, epochs: usize, name: &str) -> Output {
    let child = start(folder, &format!("{before} {}", long_run(epochs)));
    signal_to(folder, child, name)
}

/// Sends a run a signal once it has a checkpoint, and waits for its end.
fn signal_to(folder: &Path, mut child: Child, name: &str) -> Output {
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
        if child.try_wait().unwrap().is_some() {
            panic!("{}", message(&child.wait_with_output().unwrap()));
        }
    }
    kill(&child, name);
    child.wait_with_output().unwrap()
}

fn kill(child: &Child, name: &str) {
    let pid = child.id().to_string();
    let sent = Command::new("kill").args(["-s", name, &pid]).status();
    assert!(sent.unwrap().success());
}

#[test]
fn every_signal_that_asks_for_an_end_leaves_a_checkpoint() {
    for name in ["HUP", "USR1", "USR2", "XCPU"] {
        let folder = tiny_workspace();
        let output = signal(folder.path(), "", 600, name);
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
    for name in ["HUP", "INT", "TERM", "USR1", "USR2", "XCPU"] {
        let folder = tiny_workspace();
        let output = signal(folder.path(), &format!("trap '' {name};"), 12, name);
        assert_eq!(
            output.status.code(),
            Some(0),
            "{name}: {}",
            message(&output)
        );
        assert!(folder.path().join("run/final/model.safetensors").is_file());
    }
}

/// A parent that waits for its own signals blocks them, and its children inherit that.
#[test]
fn a_signal_that_is_blocked_at_the_start_arrives() {
    let folder = tempfile::tempdir().unwrap();
    let env = shell(folder.path(), "env --block-signal=TERM true");
    if !env.status.success() {
        return;
    }
    let folder = tiny_workspace();
    let command = long_run(600).replace("exec ", "exec env --block-signal=TERM ");
    let output = signal_to(folder.path(), start(folder.path(), &command), "TERM");
    assert_eq!(output.status.code(), Some(75), "{}", message(&output));
}

/// Starts a command that waits for rows from a new pipe that nobody writes to yet, and returns once
/// it catches signals.
#[cfg(target_os = "linux")]
fn start_waiting(folder: &Path, arguments: &str) -> Child {
    let rows = folder.join("rows.csv");
    let _ = std::fs::remove_file(&rows);
    let made = Command::new("mkfifo").arg(rows).status();
    assert!(made.unwrap().success());
    let program = program();
    let child = start(folder, &format!("exec '{}' {arguments}", program.display()));
    // The last one that is installed.
    await_handler(&child, SIGXCPU, true);
    child
}

/// Gives rows to a command that may wait for them. The thread ends with this process if the command
/// has ended before it opened the pipe.
#[cfg(target_os = "linux")]
fn write_rows(folder: &Path, count: usize) {
    let path = folder.join("rows.csv");
    std::thread::spawn(move || std::fs::write(path, rtune_testkit::tiny_rows(count)));
}

#[cfg(target_os = "linux")]
const SIGINT: u32 = 2;
#[cfg(target_os = "linux")]
const SIGXCPU: u32 = 24;

/// Waits until a process catches a signal, or no longer does.
#[cfg(target_os = "linux")]
fn await_handler(child: &Child, signal: u32, is_caught: bool) {
    let catches = || {
        let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
        let mask = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
        let mask = u64::from_str_radix(mask.unwrap().trim(), 16).unwrap();
        mask & (1 << (signal - 1)) != 0
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
    let finetune = "finetune --model model --train rows.csv --output run";
    let child = start_waiting(folder.path(), finetune);
    kill(&child, "INT");
    await_handler(&child, SIGINT, false);
    kill(&child, "INT");
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.signal(), Some(2), "{}", message(&output));
}

#[test]
#[cfg(target_os = "linux")]
fn every_command_that_takes_time_stops_on_request_and_writes_nothing() {
    let folder = tiny_workspace();
    let folder = folder.path();
    rtune_testkit::tiny_export(folder);
    let names = || {
        let entries = std::fs::read_dir(folder).unwrap();
        let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        names
    };
    let mut before = None;
    for (arguments, rows) in [
        // Rows are checked from time to time while they are read.
        (
            "finetune --model model --train rows.csv --output new --max-length 24",
            2000,
        ),
        ("evaluate --model onnx --data rows.csv", 40),
        ("evaluate --model run --data rows.csv", 40),
        ("evaluate --model run --data rows.csv", 2000),
        ("predict --model onnx --input rows.csv", 40),
        (
            "verify --reference run --candidate onnx --data rows.csv",
            40,
        ),
        ("quantize --model onnx --calib rows.csv --output new", 40),
    ] {
        let child = start_waiting(folder, arguments);
        kill(&child, "USR1");
        write_rows(folder, rows);
        let output = child.wait_with_output().unwrap();
        let message = message(&output);
        assert_eq!(output.status.code(), Some(130), "{arguments}: {message}");
        assert!(
            message.ends_with("nothing was written\n"),
            "{arguments}: {message}"
        );
        assert!(output.stdout.is_empty());
        let before = before.get_or_insert_with(names);
        assert_eq!(names(), *before, "{arguments}");
    }
}

/// A job that is stopped while it reads its rows again has the checkpoint of before, unless that is
/// one of a finished run.
#[test]
#[cfg(target_os = "linux")]
fn a_resumed_run_that_is_stopped_while_it_reads_is_still_resumable() {
    let folder = tiny_workspace();
    let folder = folder.path();
    let finetune = "finetune --model model --train rows.csv --validation test.csv --output run \
                    --max-length 24 --train-batch-size 8 --save-steps 2";
    let write = || write_rows(folder, 4000);
    let child = start_waiting(folder, finetune);
    write();
    let output = signal_to(folder, child, "TERM");
    assert_eq!(output.status.code(), Some(75), "{}", message(&output));
    let child = start_waiting(folder, finetune);
    kill(&child, "TERM");
    write();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(75), "{}", message(&output));
    assert!(message(&output).contains("to go on from run/checkpoints/step-"));
    std::fs::create_dir(folder.join("run/final")).unwrap();
    let child = start_waiting(folder, &format!("{finetune} --force"));
    kill(&child, "TERM");
    write();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130), "{}", message(&output));
    assert!(folder.join("run/final").is_dir());
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
            "error: onnx: cannot be written: No such file or directory",
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

/// A file that cannot be opened is not taken for one that rtune did not write.
#[test]
fn a_limit_of_open_files_is_named() {
    let folder = tiny_workspace();
    let finetune = format!("rtune {} --max-steps 1", FINETUNE.join(" "));
    let command = format!("{finetune}; ulimit -n 4; {finetune} --force");
    let output = shell(folder.path(), &command);
    let message = message(&output);
    assert_eq!(output.status.code(), Some(2), "{message}");
    let error = "error: run/final/.rtune.json: cannot be read: Too many open files";
    assert!(message.contains(error), "{message}");
    assert!(folder.path().join("run/final/model.safetensors").is_file());
}
