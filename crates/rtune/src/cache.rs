//! The folder of fetched artifacts. `rtune-testkit` compiles this file too, by path: the program
//! and the development tools must agree on the layout, and the program cannot depend on them.

use std::path::{Path, PathBuf};

/// The version of ONNX Runtime that `cargo xtask fetch` brings.
pub(crate) const FETCHED_RUNTIME: &str = "1.32.0";

/// Returns the folder for fetched artifacts: `RTUNE_CACHE`, or `rtune` in the user's cache folder.
pub(crate) fn cache_folder() -> Option<PathBuf> {
    let path = |name| {
        std::env::var_os(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    path("RTUNE_CACHE")
        .or_else(|| path("XDG_CACHE_HOME").map(|cache| cache.join("rtune")))
        .or_else(|| path("HOME").map(|home| home.join(".cache/rtune")))
}

/// Returns the path of the fetched ONNX Runtime library in the cache.
pub(crate) fn fetched_runtime(cache: &Path) -> PathBuf {
    cache
        .join("onnxruntime")
        .join(FETCHED_RUNTIME)
        .join(format!("libonnxruntime.so.{FETCHED_RUNTIME}"))
}
