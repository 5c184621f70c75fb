//! The checkpoints of a run in progress, and the hook that receives them.

use crate::checkpoint::{self, Position, Retention, RunIdentity, SavedRun};
use crate::hook::{Failed, Handover};
use crate::trainer::Run;
use crate::{Callback, Checkpoints, Event, SaveHook, TrainError};
use rtune_interrupt::Interrupt;
use rtune_nn::Param;
use std::collections::BTreeSet;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::thread::Scope;

/// The place of a run's checkpoints.
pub struct Saving<'a> {
    /// The checkpoints of this run and of earlier starts of it.
    pub checkpoints: &'a Checkpoints,
    /// The receiver of each complete checkpoint.
    pub hook: Option<&'a mut dyn SaveHook>,
}

impl std::fmt::Debug for Saving<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Saving")
            .field("checkpoints", self.checkpoints)
            .field("hook", &self.hook.is_some())
            .finish()
    }
}

/// Checkpoints without a hook.
impl<'a> From<&'a Checkpoints> for Saving<'a> {
    fn from(checkpoints: &'a Checkpoints) -> Self {
        Self {
            checkpoints,
            hook: None,
        }
    }
}

/// The surroundings of a run: its checkpoints, the receiver of its events, and the request to stop.
pub(crate) struct Surroundings<'a, 'scope> {
    /// If checkpoints are on.
    pub(crate) store: Option<Store<'scope>>,
    pub(crate) callback: &'a mut dyn Callback,
    pub(crate) interrupt: &'a Interrupt,
}

/// [`Saving`] while a run works.
pub(crate) struct Store<'scope> {
    checkpoints: &'scope Checkpoints,
    pub(crate) identity: RunIdentity,
    limit: NonZeroUsize,
    handover: Option<Handover<'scope>>,
    newest: Option<Position>,
}

impl<'scope> Store<'scope> {
    /// Starts the hook, if there is one.
    ///
    /// # Errors
    /// If the system gives no thread.
    pub(crate) fn new<'env: 'scope>(
        saving: Saving<'env>,
        identity: RunIdentity,
        limit: NonZeroUsize,
        scope: &'scope Scope<'scope, 'env>,
    ) -> Result<Self, TrainError> {
        let handover = saving.hook.map(|hook| Handover::start(scope, hook));
        Ok(Self {
            checkpoints: saving.checkpoints,
            identity,
            limit,
            handover: handover.transpose().map_err(TrainError::HookThread)?,
            newest: None,
        })
    }

    /// Reads the newest complete checkpoint.
    ///
    /// # Errors
    /// If it belongs to another run, or all checkpoints are damaged.
    pub(crate) fn newest(
        &self,
        callback: &mut dyn Callback,
    ) -> Result<Option<SavedRun>, TrainError> {
        let skipped = &mut |path: &Path, problem: &str| {
            callback.on_event(&Event::SkippedCheckpoint { path, problem });
        };
        self.checkpoints.newest(&self.identity, skipped)
    }

    fn keep(&self) -> Retention {
        Retention {
            limit: self.limit,
            held: match &self.handover {
                Some(handover) => handover.held(),
                None => BTreeSet::new(),
            },
        }
    }

    fn give(&mut self, position: Position, path: &Path, callback: &mut dyn Callback) {
        self.newest = Some(position);
        if let Some(handover) = &self.handover {
            let waits = &mut || callback.on_event(&Event::AwaitingHook);
            handover.give(position, path, waits);
        }
    }

    /// Takes over the checkpoint that the run resumes from.
    pub(crate) fn resumed(&mut self, position: Position, path: &Path, callback: &mut dyn Callback) {
        self.give(position, path, callback);
        self.checkpoints.prune(position, &self.keep());
    }

    /// Writes a checkpoint and gives it to the hook.
    ///
    /// # Errors
    /// If it cannot be written.
    pub(crate) fn save(
        &mut self,
        run: &Run,
        params: &[&Param],
        callback: &mut dyn Callback,
    ) -> Result<PathBuf, TrainError> {
        callback.on_event(&Event::BeforeCheckpoint);
        let place = (self.checkpoints, &self.identity);
        let path = checkpoint::save(run, params, place, &self.keep())?;
        callback.on_event(&Event::Checkpoint(&path));
        self.give(run.progress.position(), &path, callback);
        let failures = self.handover.as_ref().map(Handover::failures);
        report(&failures.unwrap_or_default(), callback);
        Ok(path)
    }

    /// Waits for the hook.
    pub(crate) fn finish(self, callback: &mut dyn Callback) {
        let Some(handover) = self.handover else {
            return;
        };
        if !handover.held().is_empty() {
            callback.on_event(&Event::AwaitingHook);
        }
        report(&handover.finish(), callback);
        if let Some(newest) = self.newest {
            let keep = Retention {
                limit: self.limit,
                held: BTreeSet::new(),
            };
            self.checkpoints.prune(newest, &keep);
        }
    }
}

fn report(failures: &[Failed], callback: &mut dyn Callback) {
    for Failed { checkpoint, error } in failures {
        callback.on_event(&Event::HookFailed {
            checkpoint,
            reason: error.as_ref(),
        });
    }
}
