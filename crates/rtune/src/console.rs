//! Progress and notes on stderr, results on stdout.

use anyhow::Result;
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use std::io::{IsTerminal as _, Write as _};
use std::time::{Duration, Instant};

/// Writes a line to stderr; write errors are ignored.
pub(crate) fn note(message: impl AsRef<str>) {
    let _ = writeln!(std::io::stderr().lock(), "{}", message.as_ref());
}

/// Writes the result to stdout: one JSON document, or lines for people. A closed pipe is not an
/// error.
pub(crate) fn result<T: Serialize>(
    json: bool,
    value: &T,
    text: impl FnOnce() -> String,
) -> Result<()> {
    let text = if json {
        serde_json::to_string_pretty(value)?
    } else {
        text().trim_end().to_owned()
    };
    match writeln!(std::io::stdout().lock(), "{text}") {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(anyhow::Error::new(error).context("standard output"))
        }
        _ => Ok(()),
    }
}

/// The progress of a task: a bar on a terminal, a line every ten seconds elsewhere.
pub(crate) struct Progress {
    bar: Option<ProgressBar>,
    task: &'static str,
    total: usize,
    last: Instant,
}

impl Progress {
    pub(crate) fn new(task: &'static str, total: usize) -> Self {
        let style =
            ProgressStyle::with_template("{msg:12} {bar:30} {pos}/{len} {per_sec} eta {eta}");
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::new(total as u64).with_message(task);
            if let Ok(style) = style {
                bar.with_style(style)
            } else {
                bar
            }
        });
        Self {
            bar,
            task,
            total,
            last: Instant::now(),
        }
    }

    pub(crate) fn set(&mut self, done: usize) {
        match &self.bar {
            Some(bar) => bar.set_position(done as u64),
            None if self.last.elapsed() > Duration::from_secs(10) => {
                note(format!("{} {done}/{}", self.task, self.total));
                self.last = Instant::now();
            }
            None => {}
        }
    }

    /// Writes a line that stays above the bar.
    pub(crate) fn line(&self, message: &str) {
        match &self.bar {
            Some(bar) => bar.suspend(|| note(message)),
            None => note(message),
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

/// Returns the peak resident memory of this process in MiB, if the system reports it.
pub(crate) fn peak_rss_mb() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(
        line.trim()
            .trim_end_matches("kB")
            .trim()
            .parse::<f64>()
            .ok()?
            / 1024.0,
    )
}
