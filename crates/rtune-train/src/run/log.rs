//! `metrics.jsonl`: one line for each log, evaluation and test of a run.

use crate::{Callback, Evaluation, Event, LogProblem, Start, StepLog};
use rtune_package::{PackageError, TargetProblem, layout};
use rtune_task::Metrics;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::fs::{File, TryLockError};
use std::io::{BufRead as _, BufReader, Result, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

/// A line of the log.
#[derive(Serialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub(super) enum Line<'a> {
    Step(&'a StepLog),
    Evaluation(&'a Evaluation),
    Test { step: usize, metrics: &'a Metrics },
}

/// A line for a step.
#[derive(Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
enum StepLine {
    Step(StepLog),
}

/// The log of a run. Its lock is the lock of the run's folder.
#[derive(Debug)]
pub(super) struct RunLog {
    path: PathBuf,
    file: File,
}

impl RunLog {
    /// Opens or creates the log of the run in `folder`, which exists.
    pub(super) fn open(folder: &Path) -> std::result::Result<Self, PackageError> {
        let path = folder.join(layout::METRICS);
        let mut options = File::options();
        options.read(true).write(true).create(true).truncate(false);
        let file = options.open(&path).map_err(PackageError::write(&path))?;
        Ok(Self { path, file })
    }

    /// Locks the log for this process. A file system without locks is accepted.
    pub(super) fn lock(&self, folder: &Path) -> std::result::Result<(), PackageError> {
        match self.file.try_lock() {
            Err(TryLockError::WouldBlock) => Err(PackageError::Target {
                path: folder.to_owned(),
                problem: TargetProblem::Busy,
            }),
            _ => Ok(()),
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Appends a line.
    pub(super) fn write(&mut self, line: &Line<'_>) -> Result<()> {
        let text = serde_json::to_string(line)? + "\n";
        self.file.seek(SeekFrom::End(0))?;
        self.file.write_all(text.as_bytes())
    }

    /// The logs of steps, without lines that cannot be read.
    pub(super) fn steps(&self) -> Vec<StepLog> {
        let text = std::fs::read_to_string(&self.path).unwrap_or_default();
        let lines = text.lines().map(serde_json::from_str::<StepLine>);
        let steps = lines.filter_map(std::result::Result::ok);
        steps.map(|StepLine::Step(log)| log).collect()
    }

    /// Replaces all lines.
    pub(super) fn replace(&mut self, content: &[u8]) -> Result<()> {
        self.file.set_len(0)?;
        self.file.seek(SeekFrom::Start(0))?;
        self.file.write_all(content)
    }

    /// Removes the lines after `start`, which the run writes again. Returns the number of lines
    /// that are left.
    fn rewind(&mut self, start: &Start<'_>) -> Result<usize> {
        self.file.seek(SeekFrom::Start(0))?;
        let mut reader = BufReader::new(&self.file);
        let (mut lines, mut kept, mut line) = (0, 0_u64, Vec::new());
        while reader.read_until(b'\n', &mut line)? > 0 {
            let Some((step, is_evaluation)) = position(&line) else {
                break;
            };
            if step > start.step || (step == start.step && is_evaluation && !start.evaluated) {
                break;
            }
            (lines, kept) = (lines + 1, kept + line.len() as u64);
            line.clear();
        }
        self.file.set_len(kept)?;
        Ok(lines)
    }

    fn respond(&mut self, event: &Event<'_>) -> std::result::Result<(), LogProblem> {
        match event {
            Event::Start(start) => match self.rewind(start).map_err(LogProblem::Io)? {
                lines if lines < start.logged => Err(LogProblem::Missing(start.logged - lines)),
                _ => Ok(()),
            },
            Event::Log(log) => self.write(&Line::Step(log)).map_err(|_| LogProblem::Write),
            Event::Evaluation(evaluation) => {
                let written = self.write(&Line::Evaluation(evaluation));
                written.map_err(|_| LogProblem::Write)
            }
            Event::BeforeCheckpoint => self.file.sync_data().map_err(LogProblem::Io),
            _ => Ok(()),
        }
    }
}

impl Drop for RunLog {
    fn drop(&mut self) {
        // A program that is just being started elsewhere in this process has the file open, too,
        // and would hold the lock a while longer.
        let _ = self.file.unlock();
    }
}

/// Passes events on and writes them to the log. A problem of the log is an event itself: a run does
/// not end because of it.
pub(super) struct LogWriter<'a> {
    pub(super) log: &'a mut RunLog,
    pub(super) callback: &'a mut dyn Callback,
}

impl Callback for LogWriter<'_> {
    fn on_event(&mut self, event: &Event<'_>) {
        self.callback.on_event(event);
        if let Err(problem) = self.log.respond(event) {
            self.callback.on_event(&Event::LogProblem(&problem));
        }
    }
}

/// Returns the step of a complete line, and whether the line is an evaluation.
fn position(line: &[u8]) -> Option<(usize, bool)> {
    let value: Value = serde_json::from_slice(line.strip_suffix(b"\n")?).ok()?;
    let is_evaluation = match value.get("kind")?.as_str()? {
        "step" => false,
        "evaluation" => true,
        _ => return None,
    };
    Some((value.get("step")?.as_u64()?.try_into().ok()?, is_evaluation))
}

/// The first line of a log file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FirstLine {
    /// A line of a run.
    OfRun,
    /// No line, or the beginning of one: a run that was killed early leaves that.
    Incomplete,
    /// Any other text.
    Unknown,
    /// There is no file that can be read.
    Missing,
}

impl FirstLine {
    /// Reads the first line of the log in `folder`.
    pub(super) fn read(folder: &Path) -> Self {
        let Ok(file) = File::open(folder.join(layout::METRICS)) else {
            return Self::Missing;
        };
        let mut line = Vec::new();
        match BufReader::new(file).read_until(b'\n', &mut line) {
            Err(_) => Self::Missing,
            Ok(_) if position(&line).is_some() => Self::OfRun,
            Ok(_) if !line.ends_with(b"\n") => Self::Incomplete,
            Ok(_) => Self::Unknown,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINES: [&str; 5] = [
        r#"{"kind":"step","step":2,"loss":1.0}"#,
        r#"{"kind":"evaluation","step":2,"best":true}"#,
        r#"{"kind":"step","step":4,"loss":0.5}"#,
        r#"{"kind":"evaluation","step":4,"best":true}"#,
        r#"{"kind":"test","step":4}"#,
    ];

    fn start(step: usize, evaluated: bool, logged: usize) -> Start<'static> {
        Start {
            checkpoint: None,
            step,
            evaluated,
            logged,
        }
    }

    fn log(folder: &Path, text: &str) -> RunLog {
        std::fs::write(folder.join(layout::METRICS), text).unwrap();
        RunLog::open(folder).unwrap()
    }

    fn text(folder: &Path) -> String {
        std::fs::read_to_string(folder.join(layout::METRICS)).unwrap()
    }

    #[test]
    fn rewinding_keeps_the_lines_before_the_start() {
        let folder = tempfile::tempdir().unwrap();
        let all = LINES.join("\n") + "\n";
        // The text of the log, the start, the number of lines left.
        let cases: [(&str, Start<'_>, usize); 8] = [
            (&all, start(0, true, 0), 0),
            (&all, start(2, false, 1), 1),
            (&all, start(2, true, 2), 2),
            (&all, start(3, true, 2), 2),
            (&all, start(4, true, 4), 4),
            ("", start(4, true, 4), 0),
            (&all[..all.len() - 40], start(4, true, 4), 3),
            ("not of a run\n", start(4, true, 4), 0),
        ];
        for (lines, start, expected) in cases {
            let mut log = log(folder.path(), lines);
            assert_eq!(log.rewind(&start).unwrap(), expected, "{start:?}");
            let kept: String = LINES[..expected].iter().flat_map(|l| [l, "\n"]).collect();
            assert_eq!(text(folder.path()), kept, "{start:?}");
        }
    }

    #[test]
    fn problems_of_the_log_are_events_behind_their_cause() {
        let folder = tempfile::tempdir().unwrap();
        let mut log = log(folder.path(), "");
        let mut events = Vec::new();
        let mut callback = |event: &Event<'_>| {
            events.push(match event {
                Event::LogProblem(problem) => problem.to_string(),
                Event::Start(_) => "start".to_owned(),
                _ => String::new(),
            });
        };
        LogWriter {
            log: &mut log,
            callback: &mut callback,
        }
        .on_event(&Event::Start(start(4, true, 3)));
        let problem = "metrics.jsonl lacks 3 of the run's earlier lines";
        assert_eq!(events, ["start", problem]);
    }

    #[test]
    fn logs_and_evaluations_are_lines_and_other_events_are_not() {
        let folder = tempfile::tempdir().unwrap();
        let mut log = log(folder.path(), "");
        let mut ignored = |_: &Event<'_>| {};
        let mut writer = LogWriter {
            log: &mut log,
            callback: &mut ignored,
        };
        writer.on_event(&Event::Step { step: 1, total: 2 });
        writer.on_event(&Event::Log(&StepLog {
            step: 1,
            total_steps: 2,
            epoch: 0.5,
            loss: 1.5,
            gradient_norm: 2.0,
            learning_rate: 0.25,
        }));
        writer.on_event(&Event::Evaluation(&Evaluation {
            step: 1,
            epoch: 0.5,
            best: true,
            decision: None,
            cutpoints: Vec::new(),
            metrics: Metrics::default(),
            decisions: Vec::new(),
        }));
        writer.on_event(&Event::BeforeCheckpoint);
        let steps = log.steps();
        assert_eq!(
            steps
                .iter()
                .map(|log| (log.step, log.loss))
                .collect::<Vec<_>>(),
            [(1, 1.5)]
        );
        let expected = "{\"kind\":\"step\",\"step\":1,\"total_steps\":2,\"epoch\":0.5,\
            \"loss\":1.5,\"gradient_norm\":2.0,\"learning_rate\":0.25}\n\
            {\"kind\":\"evaluation\",\"step\":1,\"epoch\":0.5,\"best\":true,\
            \"decision\":null,\"cutpoints\":[],\"metrics\":METRICS,\"decisions\":[]}\n";
        let metrics = serde_json::to_string(&Metrics::default()).unwrap();
        let expected = expected.replace("METRICS", &metrics);
        assert_eq!(text(folder.path()), expected);
        let positions: Vec<_> = expected.split_inclusive('\n').collect();
        let positions = positions.iter().map(|line| position(line.as_bytes()));
        assert_eq!(
            positions.collect::<Vec<_>>(),
            [Some((1, false)), Some((1, true))]
        );
    }

    #[test]
    fn the_first_line_tells_a_run_from_another_file() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(FirstLine::read(folder.path()), FirstLine::Missing);
        for (text, expected) in [
            ("", FirstLine::Incomplete),
            ("{\"kind\":\"st", FirstLine::Incomplete),
            ("{\"kind\":\"step\",\"step\":1}\n{", FirstLine::OfRun),
            ("{\"kind\":\"other\",\"step\":1}\n", FirstLine::Unknown),
            ("a log\n", FirstLine::Unknown),
        ] {
            std::fs::write(folder.path().join(layout::METRICS), text).unwrap();
            assert_eq!(FirstLine::read(folder.path()), expected, "{text}");
        }
    }
}
