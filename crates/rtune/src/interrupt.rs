//! Ctrl-C sets a flag; long work looks at it and returns, so that half-written folders are removed
//! on the way out.

use crate::exit::Interrupted;
use anyhow::Result;
use std::sync::atomic::{AtomicBool, Ordering};

static STOP: AtomicBool = AtomicBool::new(false);

/// Takes over SIGINT and SIGTERM.
pub(crate) fn install() -> Result<()> {
    Ok(ctrlc::set_handler(|| STOP.store(true, Ordering::Relaxed))?)
}

/// Whether a signal came.
pub(crate) fn requested() -> bool {
    STOP.load(Ordering::Relaxed)
}

/// An error where a signal came.
pub(crate) fn check() -> Result<()> {
    if requested() {
        Err(Interrupted.into())
    } else {
        Ok(())
    }
}
