//! Signals request a stop. Long work checks for it and returns, so that half-written folders are
//! removed on the way out, and training leaves a checkpoint.
//!
//! | signal | sent by |
//! |---|---|
//! | SIGINT, SIGTERM, SIGHUP | Ctrl-C, `kill` and service managers, a terminal that is closed |
//! | SIGUSR1, SIGUSR2, SIGXCPU | job schedulers, ahead of a limit |
//!
//! A signal that is ignored when the program starts stays ignored: `nohup`, and shells that start a
//! job in the background, ask for it this way. A signal that is blocked is unblocked: a parent that
//! waits for signals of its own leaves that behind, and the program could not be stopped. The
//! second SIGINT ends the program at once.

use anyhow::Result;
use rtune_data::{DataError, DataProblem};
use rtune_infer::InferError;
use rtune_interrupt::{Interrupt, Interrupted};
use rtune_quant::QuantError;
use rtune_verify::VerifyError;
use std::error::Error;

/// The request to stop that the libraries check.
pub(crate) static INTERRUPT: Interrupt = Interrupt::new();

/// Installs the handlers.
#[cfg(unix)]
pub(crate) fn install() -> Result<()> {
    for signal in signals::STOPPING {
        if !signals::is_ignored(signal)? {
            signals::handle(signal)?;
            signals::unblock(signal)?;
        }
    }
    // A file that reaches the limit of its size (`ulimit -f`) is then an error with its name.
    signals::ignore(libc::SIGXFSZ)?;
    Ok(())
}

/// Installs the handler of Ctrl-C.
#[cfg(not(unix))]
pub(crate) fn install() -> Result<()> {
    Ok(ctrlc::set_handler(|| INTERRUPT.request())?)
}

#[cfg(unix)]
#[expect(
    unsafe_code,
    reason = "no safe crate tells whether a signal is ignored before it is caught"
)]
mod signals {
    use super::INTERRUPT;
    use libc::{SIG_DFL, SIG_IGN, c_int, sigaction, sighandler_t};
    use std::io::{Error, Result};
    use std::ptr::{null, null_mut};

    /// The signals that request a stop.
    pub(super) const STOPPING: [c_int; 6] = [
        libc::SIGINT,
        libc::SIGTERM,
        libc::SIGHUP,
        libc::SIGUSR1,
        libc::SIGUSR2,
        libc::SIGXCPU,
    ];

    /// Runs between any two instructions, so it does no more than to store a number.
    extern "C" fn request(_: c_int) {
        INTERRUPT.request();
    }

    /// Returns whether a signal is ignored.
    pub(super) fn is_ignored(signal: c_int) -> Result<bool> {
        let mut action = action(SIG_DFL, 0);
        // SAFETY: no action is set, and the current one is written to a valid place.
        check(unsafe { sigaction(signal, null(), &raw mut action) })?;
        Ok(action.sa_sigaction == SIG_IGN)
    }

    /// Catches a signal. After the first SIGINT its default action is back.
    pub(super) fn handle(signal: c_int) -> Result<()> {
        let once = match signal {
            libc::SIGINT => libc::SA_RESETHAND,
            _ => 0,
        };
        let handler: extern "C" fn(c_int) = request;
        set(
            signal,
            action(handler as sighandler_t, libc::SA_RESTART | once),
        )
    }

    /// Lets a signal arrive that the parent blocked.
    pub(super) fn unblock(signal: c_int) -> Result<()> {
        // SAFETY: a set of zeros is valid memory, and is made an empty set first.
        let mut set = unsafe { std::mem::zeroed() };
        // SAFETY: the set is a valid place, and the signal is one of the system's.
        check(unsafe { libc::sigemptyset(&raw mut set) | libc::sigaddset(&raw mut set, signal) })?;
        // SAFETY: the set is initialized. Only the calling thread, the first, is changed; those
        // that follow inherit from it.
        check(unsafe { libc::sigprocmask(libc::SIG_UNBLOCK, &raw const set, null_mut()) })
    }

    /// Ignores a signal.
    pub(super) fn ignore(signal: c_int) -> Result<()> {
        set(signal, action(SIG_IGN, 0))
    }

    fn action(handler: sighandler_t, flags: c_int) -> sigaction {
        // SAFETY: a `sigaction` of zeros is valid: the default action and an empty mask.
        let mut action: sigaction = unsafe { std::mem::zeroed() };
        action.sa_sigaction = handler;
        action.sa_flags = flags;
        action
    }

    fn set(signal: c_int, action: sigaction) -> Result<()> {
        // SAFETY: the handler, if there is one, is a function that lives as long as the program and
        // calls nothing but an atomic store.
        check(unsafe { sigaction(signal, &raw const action, null_mut()) })
    }

    fn check(result: c_int) -> Result<()> {
        match result {
            0 => Ok(()),
            _ => Err(Error::last_os_error()),
        }
    }
}

/// Returns true if a library stopped because of a signal, before anything was written.
pub(crate) fn is_interruption(cause: &(dyn Error + 'static)) -> bool {
    let data = cause.downcast_ref::<DataError>();
    cause.is::<Interrupted>()
        || data.is_some_and(|error| matches!(error.problem, DataProblem::Interrupted(_)))
        || matches!(cause.downcast_ref(), Some(InferError::Interrupted(_)))
        || matches!(cause.downcast_ref(), Some(QuantError::Interrupted(_)))
        || matches!(cause.downcast_ref(), Some(VerifyError::Interrupted(_)))
}
