//! Progress and notes on stderr, results on stdout.

use anyhow::Result;
use indicatif::{ProgressBar, ProgressState, ProgressStyle};
use serde::Serialize;
use std::fmt::Write;
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
    pace: Pace,
    last: Instant,
}

impl Progress {
    pub(crate) fn new(task: &'static str, total: usize) -> Self {
        Self::resumed(task, 0, total)
    }

    /// The progress of a task of which `first` parts are done already. They do not count in its
    /// speed.
    pub(crate) fn resumed(task: &'static str, first: usize, total: usize) -> Self {
        Self::of(task, first, Some(total))
    }

    /// The progress of a task whose size is not known.
    pub(crate) fn endless(task: &'static str) -> Self {
        Self::of(task, 0, None)
    }

    fn of(task: &'static str, first: usize, total: Option<usize>) -> Self {
        let pace = Pace {
            first,
            total,
            start: Instant::now(),
        };
        let show = move |state: &ProgressState, text: &mut dyn Write| {
            let done = usize::try_from(state.pos()).unwrap_or(usize::MAX);
            let _ = text.write_str(&pace.describe(done, pace.start.elapsed()));
        };
        let style = ProgressStyle::with_template(match total {
            Some(_) => "{msg:12} {bar:30} {pos}/{len} {pace}",
            None => "{msg:12} {pos} {pace}",
        });
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = match total {
                Some(total) => ProgressBar::new(total as u64),
                None => ProgressBar::no_length(),
            };
            let bar = bar.with_message(task);
            bar.set_position(first as u64);
            if let Ok(style) = style {
                bar.with_style(style.with_key("pace", show))
            } else {
                bar
            }
        });
        Self {
            bar,
            task,
            pace,
            last: Instant::now(),
        }
    }

    pub(crate) fn set(&mut self, done: usize) {
        match &self.bar {
            Some(bar) => bar.set_position(done as u64),
            None if self.last.elapsed() > Duration::from_secs(10) => {
                let pace = self.pace.describe(done, self.pace.start.elapsed());
                let total = self.pace.total.map(|total| format!("/{total}"));
                let line = format!("{} {done}{} {pace}", self.task, total.unwrap_or_default());
                note(line.trim_end());
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

/// The speed of a task since this process began it.
#[derive(Clone, Copy)]
struct Pace {
    /// The parts that were done before.
    first: usize,
    /// The parts in all, if they are known.
    total: Option<usize>,
    start: Instant,
}

impl Pace {
    /// Returns speed and remaining time, such as `12.5/s eta 1m20s`; nothing before a second has
    /// passed and a part is done. Without a known end, there is no remaining time.
    fn describe(&self, done: usize, elapsed: Duration) -> String {
        let parts = done.saturating_sub(self.first);
        if parts == 0 || elapsed < Duration::from_secs(1) {
            return String::new();
        }
        let rate = parts as f64 / elapsed.as_secs_f64();
        let digits = match rate {
            100.0.. => 0,
            1.0.. => 1,
            _ => 2,
        };
        let Some(total) = self.total else {
            return format!("{rate:.digits$}/s");
        };
        let seconds = (total.saturating_sub(done) as f64 / rate).ceil() as u64;
        let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
        let eta = match (hours, minutes) {
            (0, 0) => format!("{seconds}s"),
            (0, _) => format!("{minutes}m{:02}s", seconds % 60),
            _ => format!("{hours}h{minutes:02}m"),
        };
        format!("{rate:.digits$}/s eta {eta}")
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pace_counts_only_the_work_of_this_process() {
        let start = Instant::now();
        let describe = |first, done, seconds: f64| {
            let pace = Pace {
                first,
                total: (first < 1000).then_some(1000),
                start,
            };
            pace.describe(done, Duration::from_secs_f64(seconds))
        };
        for (first, done, seconds, expected) in [
            (0, 500, 50.0, "10.0/s eta 50s"),
            // Resumed at step 900, with five steps in ten seconds.
            (900, 905, 10.0, "0.50/s eta 3m10s"),
            (900, 900, 10.0, ""),
            // A rate of less than a second says nothing.
            (0, 900, 0.01, ""),
            (0, 1000, 2.0, "500/s eta 0s"),
            (0, 10, 90.0, "0.11/s eta 2h28m"),
            // Without a known end.
            (1000, 1010, 2.0, "5.0/s"),
        ] {
            assert_eq!(describe(first, done, seconds), expected, "{first} {done}");
        }
    }
}
