//! SIGINT and SIGTERM request a stop. Long work checks for it and returns, so that half-written
//! folders are removed on the way out.

use crate::exit::Interrupted;
use anyhow::Result;
use rtune_interrupt::Interrupt;

/// The request to stop that the libraries check.
pub(crate) static INTERRUPT: Interrupt = Interrupt::new();

/// Installs the handler of SIGINT and SIGTERM.
pub(crate) fn install() -> Result<()> {
    Ok(ctrlc::set_handler(|| INTERRUPT.request())?)
}

/// Returns an error if a signal came.
pub(crate) fn check() -> Result<()> {
    INTERRUPT.check().map_err(|_| Interrupted.into())
}
