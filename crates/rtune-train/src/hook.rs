//! Hands complete checkpoints to a hook in the background.

use crate::checkpoint::Position;
use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, channel, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{Scope, ScopedJoinHandle};

/// The error of a hook, of any type.
pub type HookError = Box<dyn std::error::Error + Send + Sync>;

/// A receiver of complete checkpoints, such as a store that mirrors them.
///
/// Closures are hooks:
///
/// ```
/// use rtune_train::{HookError, SaveHook};
/// use std::path::Path;
///
/// let mut hook = |checkpoint: &Path| -> Result<(), HookError> {
///     std::fs::metadata(checkpoint.join("trainer_state.json"))?;
///     Ok(())
/// };
/// assert!(hook.saved(Path::new("no/such/checkpoint")).is_err());
/// ```
pub trait SaveHook: Send {
    /// Receives the folder of a complete checkpoint, which stays until this returns.
    ///
    /// Called in a thread beside training, for one checkpoint after the other. Training goes on
    /// meanwhile, and waits only if it has written two more. A checkpoint that a run resumes from
    /// is received again, because the hook may not have been done with it.
    ///
    /// # Errors
    /// Any error is reported as [`Event::HookFailed`]; the run goes on.
    ///
    /// [`Event::HookFailed`]: crate::Event::HookFailed
    fn saved(&mut self, checkpoint: &Path) -> Result<(), HookError>;
}

impl<F: FnMut(&Path) -> Result<(), HookError> + Send> SaveHook for F {
    fn saved(&mut self, checkpoint: &Path) -> Result<(), HookError> {
        self(checkpoint)
    }
}

/// A checkpoint that a hook failed for.
pub(crate) struct Failed {
    pub(crate) checkpoint: PathBuf,
    pub(crate) error: HookError,
}

/// The way of checkpoints to a hook: one is worked on, and one may wait.
pub(crate) struct Handover<'scope> {
    sender: SyncSender<(Position, PathBuf)>,
    held: Arc<Mutex<BTreeSet<Position>>>,
    failed: Receiver<Failed>,
    thread: ScopedJoinHandle<'scope, ()>,
}

impl<'scope> Handover<'scope> {
    /// Starts the thread of a hook.
    ///
    /// # Errors
    /// If the system gives no thread.
    pub(crate) fn start<'env: 'scope>(
        scope: &'scope Scope<'scope, 'env>,
        hook: &'env mut dyn SaveHook,
    ) -> std::io::Result<Self> {
        let (sender, receiver) = sync_channel::<(Position, PathBuf)>(1);
        let (report, failed) = channel();
        let held = Arc::new(Mutex::new(BTreeSet::new()));
        let done = Arc::clone(&held);
        let builder = std::thread::Builder::new().name("checkpoints".to_owned());
        let thread = builder.spawn_scoped(scope, move || {
            for (position, checkpoint) in receiver {
                if let Err(error) = saved(hook, &checkpoint) {
                    // The other end is there until this thread has ended.
                    let _ = report.send(Failed { checkpoint, error });
                }
                lock(&done).remove(&position);
            }
        })?;
        Ok(Self {
            sender,
            held,
            failed,
            thread,
        })
    }

    /// Gives a checkpoint to the hook. Waits while another one waits, after a call of `waits`.
    pub(crate) fn give(&self, position: Position, checkpoint: &Path, waits: &mut dyn FnMut()) {
        lock(&self.held).insert(position);
        let item = (position, checkpoint.to_owned());
        if let Err(TrySendError::Full(item)) = self.sender.try_send(item) {
            waits();
            // The other end is there until `finish`.
            let _ = self.sender.send(item);
        }
    }

    /// The checkpoints that must stay.
    pub(crate) fn held(&self) -> BTreeSet<Position> {
        lock(&self.held).clone()
    }

    /// The failures since the last call.
    pub(crate) fn failures(&self) -> Vec<Failed> {
        self.failed.try_iter().collect()
    }

    /// Waits until the hook is done with all checkpoints, and returns the last failures.
    pub(crate) fn finish(self) -> Vec<Failed> {
        drop(self.sender);
        // Panics of the hook are failures.
        let _ = self.thread.join();
        self.failed.try_iter().collect()
    }
}

/// Calls a hook. A panic is an error.
fn saved(hook: &mut dyn SaveHook, checkpoint: &Path) -> Result<(), HookError> {
    let called = catch_unwind(AssertUnwindSafe(|| hook.saved(checkpoint)));
    called.unwrap_or_else(|_| Err("the hook panicked".into()))
}

fn lock<T>(value: &Mutex<T>) -> MutexGuard<'_, T> {
    // A set of positions is whole at any time.
    value.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::Sender;
    use std::time::Duration;

    fn position(step: usize) -> Position {
        Position {
            step,
            evaluated: true,
        }
    }

    /// A hook that takes a checkpoint only when it is allowed to.
    fn slow(allowed: Receiver<()>, done: Sender<PathBuf>) -> impl SaveHook {
        move |path: &Path| -> Result<(), HookError> {
            allowed.recv()?;
            Ok(done.send(path.to_owned())?)
        }
    }

    #[test]
    fn a_slow_hook_holds_its_checkpoints_and_lets_two_more_be_written() {
        let (allow, allowed) = channel();
        let (done, taken) = channel();
        let mut hook = slow(allowed, done);
        let (given, steps) = channel();
        std::thread::scope(|scope| {
            let handover = Handover::start(scope, &mut hook).unwrap();
            scope.spawn(move || {
                for step in 1..=4 {
                    let path = step.to_string();
                    handover.give(position(step), Path::new(&path), &mut || ());
                    given.send(step).unwrap();
                }
                assert!(handover.finish().is_empty());
            });
            let wait = Duration::from_secs(60);
            // One is in the hook and one in the queue; the third waits for the first.
            assert_eq!(steps.recv_timeout(wait), Ok(1));
            assert_eq!(steps.recv_timeout(wait), Ok(2));
            assert!(steps.recv_timeout(Duration::from_millis(50)).is_err());
            for step in 1..=4 {
                allow.send(()).unwrap();
                let path = taken.recv_timeout(wait).unwrap();
                assert_eq!(path, Path::new(&step.to_string()));
            }
            assert_eq!(steps.iter().collect::<Vec<_>>(), [3, 4]);
        });
    }

    #[test]
    fn failures_and_panics_are_reported_and_end_nothing() {
        let mut hook = |path: &Path| -> Result<(), HookError> {
            match path.to_str() {
                Some("1") => Err("no space".into()),
                Some("2") => panic!("a panic that belongs to the test"),
                _ => Ok(()),
            }
        };
        let failures = std::thread::scope(|scope| {
            let handover = Handover::start(scope, &mut hook).unwrap();
            for step in 1..=3 {
                let path = step.to_string();
                handover.give(position(step), Path::new(&path), &mut || ());
            }
            let mut failures = handover.failures();
            failures.extend(handover.finish());
            failures
        });
        let failures = failures
            .iter()
            .map(|failed| (failed.checkpoint.to_str(), failed.error.to_string()));
        let expected = [(Some("1"), "no space"), (Some("2"), "the hook panicked")];
        let expected = expected.map(|(path, text)| (path, text.to_owned()));
        assert_eq!(failures.collect::<Vec<_>>(), expected);
    }
}
