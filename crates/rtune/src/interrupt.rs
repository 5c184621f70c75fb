//! SIGINT and SIGTERM request a stop. Long work checks for it and returns, so that half-written
//! folders are removed on the way out.

use anyhow::Result;
use rtune_infer::InferError;
use rtune_interrupt::{Interrupt, Interrupted};
use rtune_quant::QuantError;
use rtune_verify::VerifyError;
use std::error::Error;

/// The request to stop that the libraries check.
pub(crate) static INTERRUPT: Interrupt = Interrupt::new();

/// Installs the handler of SIGINT and SIGTERM.
pub(crate) fn install() -> Result<()> {
    Ok(ctrlc::set_handler(|| INTERRUPT.request())?)
}

/// Returns true if a library stopped because of a signal, before anything was written.
pub(crate) fn is_interruption(cause: &(dyn Error + 'static)) -> bool {
    cause.is::<Interrupted>()
        || matches!(cause.downcast_ref(), Some(InferError::Interrupted(_)))
        || matches!(cause.downcast_ref(), Some(QuantError::Interrupted(_)))
        || matches!(cause.downcast_ref(), Some(VerifyError::Interrupted(_)))
}
