//! Development only: paths of fixtures and fetched artifacts, comparisons, golden files, the
//! program under test, a tiny model to run it on, and a metadata service of AWS.
//!
//! ```
//! let expected = [1.0, 2.0];
//! rtune_testkit::assert_close("doubled", &expected, &[1.0, 2.000_001], 1e-5);
//! assert_eq!(rtune_testkit::noise(3, 0), rtune_testkit::noise(3, 0));
//! assert_eq!(rtune_testkit::difference("a\nb\n", "a\nc\n"), " a\n-b\n+c\n");
//! ```
//!
//! # Design
//!
//! Functions panic on failure, as assertions do: their callers are tests. The crate names no tensor
//! library, so that `xtask`, which needs the paths, builds in seconds.

#![expect(
    clippy::unwrap_used,
    reason = "the callers are tests: a failure here is the test's failure"
)]

#[path = "../../rtune/src/cache.rs"]
mod cache;
mod compare;
mod golden;
mod metadata_service;
mod paths;
mod program;
mod tiny;

pub use compare::{assert_close, noise};
pub use golden::{blessing, difference, golden};
pub use metadata_service::MetadataService;
pub use paths::{
    cache_folder, fetched_model, fetched_reviews, fixtures, quickstart_folder, root,
    runtime_library,
};
pub use program::{json, program, rtune};
pub use tiny::{
    FINETUNE, tiny_export, tiny_export_with, tiny_model, tiny_model_of, tiny_rows, tiny_workspace,
};
