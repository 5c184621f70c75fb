//! Panics of other people's code as errors.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};

thread_local! {
    static GUARDED: Cell<bool> = const { Cell::new(false) };
}

/// Returns true on a thread that turns a panic into an error at the moment: damaged files make the
/// readers of tokenizers and of Parquet panic. A program's panic hook can ask this and stay silent.
pub fn panic_becomes_error() -> bool {
    GUARDED.get()
}

/// Calls a function and returns `None` if it panics. A value that it was changing must not
/// be used after that.
pub fn guarded<T>(function: impl FnOnce() -> T) -> Option<T> {
    let before = GUARDED.replace(true);
    let result = catch_unwind(AssertUnwindSafe(function));
    GUARDED.set(before);
    result.ok()
}
