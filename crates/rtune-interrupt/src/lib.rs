//! A request to stop, which training, evaluation, calibration and verification check between two
//! units of work.
//!
//! A caller creates one [`Interrupt`] and lends it to the library. Another thread, or a signal
//! handler, calls [`Interrupt::request`]. The library calls [`Interrupt::check`] between two
//! batches or steps and passes the error on with `?`, so that half-written folders are removed on
//! the way out.
//!
//! ```
//! use rtune_interrupt::{Interrupt, Interrupted};
//!
//! fn sum(numbers: &[u32], interrupt: &Interrupt) -> Result<u32, Interrupted> {
//!     let mut sum = 0;
//!     for number in numbers {
//!         interrupt.check()?;
//!         sum += number;
//!     }
//!     Ok(sum)
//! }
//!
//! let interrupt = Interrupt::new();
//! assert_eq!(sum(&[1, 2, 3], &interrupt), Ok(6));
//! interrupt.request();
//! assert_eq!(sum(&[1, 2, 3], &interrupt), Err(Interrupted));
//! ```
//!
//! [`Interrupt::request_save`] asks for less: that work which can be saved half-way is saved soon,
//! and goes on.
//!
//! # Design
//!
//! One type in place of closures, callbacks and `Option` results: every library takes
//! `&Interrupt` and has an error variant for [`Interrupted`]. The crate has no dependencies,
//! because the libraries that stop have no other crate in common: quantization and verification
//! know the runtime but no task, and training knows no runtime. [`Interrupt::new`] is `const`, so a
//! program keeps one in a `static` that its signal handler reaches. [`Interrupt::after`] makes
//! tests of interruption exact, without threads and clocks.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// A request to stop, shared between the work and the caller that may stop it.
#[derive(Debug)]
pub struct Interrupt {
    /// Checks that still pass; 0 once a stop is requested, [`NEVER`] without a limit.
    checks: AtomicUsize,
    /// True if the work should be saved soon.
    save: AtomicBool,
}

const NEVER: usize = usize::MAX;

/// The error of work that was stopped by an [`Interrupt`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Interrupted;

impl std::fmt::Display for Interrupted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("interrupted")
    }
}

impl std::error::Error for Interrupted {}

impl Default for Interrupt {
    fn default() -> Self {
        Self::new()
    }
}

impl Interrupt {
    /// Creates an interrupt that is not requested.
    pub const fn new() -> Self {
        Self::after(NEVER)
    }

    /// Creates an interrupt that requests itself after `checks` checks have passed, for tests.
    pub const fn after(checks: usize) -> Self {
        Self {
            checks: AtomicUsize::new(checks),
            save: AtomicBool::new(false),
        }
    }

    /// Requests that the work is saved soon and goes on. Safe to call in a signal handler.
    pub fn request_save(&self) {
        self.save.store(true, Ordering::Relaxed);
    }

    /// Returns whether a save was requested since the last call.
    pub fn take_save_request(&self) -> bool {
        self.save.swap(false, Ordering::Relaxed)
    }

    /// Requests a stop: all later checks fail. Safe to call in a signal handler.
    pub fn request(&self) {
        self.checks.store(0, Ordering::Relaxed);
    }

    /// Returns whether a stop is requested.
    pub fn is_requested(&self) -> bool {
        self.checks.load(Ordering::Relaxed) == 0
    }

    /// Passes if no stop is requested.
    ///
    /// # Errors
    /// If a stop is requested.
    pub fn check(&self) -> Result<(), Interrupted> {
        let count = |left: usize| match left {
            0 => None,
            NEVER => Some(NEVER),
            left => Some(left - 1),
        };
        match self
            .checks
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, count)
        {
            Ok(_) => Ok(()),
            Err(_) => Err(Interrupted),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_fails_all_later_checks() {
        let interrupt = Interrupt::new();
        assert_eq!(
            (interrupt.check(), interrupt.is_requested()),
            (Ok(()), false)
        );
        interrupt.request();
        assert!(interrupt.is_requested());
        assert_eq!(
            [interrupt.check(), interrupt.check()],
            [Err(Interrupted); 2]
        );
    }

    #[test]
    fn a_request_to_save_is_taken_once_and_stops_nothing() {
        let interrupt = Interrupt::new();
        assert!(!interrupt.take_save_request());
        interrupt.request_save();
        interrupt.request_save();
        assert_eq!(interrupt.check(), Ok(()));
        assert!(interrupt.take_save_request() && !interrupt.take_save_request());
    }

    #[test]
    fn a_limit_counts_the_checks_that_pass() {
        for checks in [0, 1, 3] {
            let interrupt = Interrupt::after(checks);
            let passed = (0..10).take_while(|_| interrupt.check().is_ok()).count();
            assert_eq!(passed, checks);
            assert!(interrupt.is_requested());
        }
    }

    #[test]
    fn a_request_wins_over_the_checks_of_other_threads() {
        let interrupt = Interrupt::after(1_000_000);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| while interrupt.check().is_ok() {});
            }
            interrupt.request();
        });
        assert_eq!(interrupt.check(), Err(Interrupted));
    }
}
