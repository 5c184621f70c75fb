//! Predictions of input without end: what is written, interrupted, and read no further.

#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "tests")]

use rtune_testkit::{FINETUNE, json, program, tiny_workspace};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// A folder with a fine-tuned model as `run`.
fn tuned() -> tempfile::TempDir {
    let folder = tiny_workspace();
    let finetune = [&FINETUNE[..], &["--max-steps", "1"]].concat();
    json(folder.path(), &finetune);
    folder
}

/// Starts a prediction whose standard input is a text without end.
fn start(folder: &Path, more: &str) -> (Child, Child) {
    let mut endless = Command::new("yes")
        .arg("the film was very good")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let predict = format!("predict --model run --input - --input-format txt --threads 1 {more}");
    let child = Command::new(program())
        .current_dir(folder)
        .args(predict.split_whitespace())
        .stdin(endless.stdout.take().unwrap())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    (endless, child)
}

/// The hidden file that becomes the output.
fn partial(folder: &Path) -> Option<PathBuf> {
    let mut entries = std::fs::read_dir(folder).unwrap().flatten();
    let found = entries.find(|e| {
        e.file_name()
            .to_string_lossy()
            .starts_with(".rtune-partial-")
    });
    Some(found?.path())
}

/// Waits until the hidden file has a size, and returns the peak memory of the process in MB.
fn memory_at(size: u64, folder: &Path, child: &Child) -> f64 {
    let length = || {
        std::fs::metadata(partial(folder)?)
            .ok()
            .map(|data| data.len())
    };
    while length().is_none_or(|found| found < size) {
        std::thread::sleep(Duration::from_millis(5));
    }
    let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kilobytes = line.unwrap().trim().trim_end_matches(" kB");
    kilobytes.parse::<f64>().unwrap() / 1e3
}

fn terminate(child: &Child) {
    let pid = child.id().to_string();
    let sent = Command::new("kill").args(["-s", "TERM", &pid]).status();
    assert!(sent.unwrap().success());
}

#[test]
fn rows_are_written_as_they_come_and_an_interruption_leaves_nothing() {
    let folder = tuned();
    let (mut endless, child) = start(folder.path(), "--output out.jsonl");
    let early = memory_at(1 << 20, folder.path(), &child);
    let late = memory_at(6 << 20, folder.path(), &child);
    assert!(late < early + 4.0, "{early} MB, then {late} MB");
    terminate(&child);
    let output = child.wait_with_output().unwrap();
    endless.kill().unwrap();
    endless.wait().unwrap();
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(130), "{message}");
    assert!(
        message.ends_with("error: interrupted; nothing was written\n"),
        "{message}"
    );
    assert_eq!(partial(folder.path()), None);
    assert!(!folder.path().join("out.jsonl").exists());
}

/// The stop comes while the program waits for more input: on standard input, and on a pipe with a
/// name.
#[test]
fn a_silent_pipe_does_not_keep_an_interruption_waiting() {
    use std::io::Write as _;
    let folder = tuned();
    let pipe = folder.path().join("pipe");
    let made = Command::new("mkfifo").arg(&pipe).status();
    assert!(made.unwrap().success());
    for (input, signal) in [("-", "INT"), ("-", "TERM"), ("pipe", "INT")] {
        let flags = format!("predict --model run --input {input} --input-format txt");
        let mut child = Command::new(program())
            .current_dir(folder.path())
            .args(flags.split(' '))
            .stdin(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (stdin, pipe) = (child.stdin.take().unwrap(), pipe.clone());
        let (sender, receiver) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            let mut silent: Box<dyn std::io::Write + Send> = match input {
                "-" => Box::new(stdin),
                // Waits for the reader.
                _ => Box::new(std::fs::File::options().write(true).open(pipe).unwrap()),
            };
            // More than a pipe holds, so the program reads when this ends, and then waits for the
            // end of the line.
            silent.write_all(&[b'a'; 100_000]).unwrap();
            sender.send(silent).unwrap();
        });
        let silent = receiver.recv_timeout(Duration::from_secs(20)).unwrap();
        std::thread::sleep(Duration::from_millis(200));
        let pid = child.id().to_string();
        let sent = Command::new("kill").args(["-s", signal, &pid]).status();
        assert!(sent.unwrap().success());
        let start = std::time::Instant::now();
        while child.try_wait().unwrap().is_none() {
            if start.elapsed() > Duration::from_secs(20) {
                child.kill().unwrap();
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        let output = child.wait_with_output().unwrap();
        let message = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(
            output.status.code(),
            Some(130),
            "{input} {signal}: {message}"
        );
        let expected = ": interrupted while the rows were read; nothing was written\n";
        assert!(message.ends_with(expected), "{input} {signal}: {message}");
        drop(silent);
    }
}

#[test]
fn a_reader_that_has_seen_enough_ends_the_work() {
    use std::io::{BufRead as _, BufReader};
    let folder = tuned();
    let (mut endless, mut child) = start(folder.path(), "");
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let header = lines.next().unwrap().unwrap();
    assert!(header.starts_with("line\ttext\tlabel\tscore\t"), "{header}");
    assert!(
        lines
            .next()
            .unwrap()
            .unwrap()
            .starts_with("1\tthe film was very good\t")
    );
    drop(lines);
    let output = child.wait_with_output().unwrap();
    endless.wait().unwrap();
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(0), "{message}");
}

#[test]
fn an_interruption_says_that_printed_results_are_not_complete() {
    use std::io::Read as _;
    let folder = tuned();
    let (mut endless, mut child) = start(folder.path(), "--json");
    let mut stdout = child.stdout.take().unwrap();
    let mut some = [0; 4096];
    stdout.read_exact(&mut some).unwrap();
    terminate(&child);
    let rest = std::thread::spawn(move || stdout.read_to_end(&mut Vec::new()).unwrap());
    let output = child.wait_with_output().unwrap();
    rest.join().unwrap();
    endless.kill().unwrap();
    endless.wait().unwrap();
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(130), "{message}");
    let expected = "error: interrupted; the results above are not complete\n";
    assert!(message.ends_with(expected), "{message}");
}
