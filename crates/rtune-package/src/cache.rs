use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// The ONNX Runtime that `cargo xtask fetch` brings.
pub const FETCHED_RUNTIME: &str = "1.32.0";

/// The folder for what is fetched: `RTUNE_CACHE`, or `rtune` in the user's cache folder. `variable`
/// looks up an environment variable, which libraries do not do themselves.
pub fn cache_folder(variable: impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    let path = |name: &str| {
        variable(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    path("RTUNE_CACHE")
        .or_else(|| path("XDG_CACHE_HOME").map(|cache| cache.join("rtune")))
        .or_else(|| path("HOME").map(|home| home.join(".cache/rtune")))
}

/// Where the fetched ONNX Runtime library is in the cache.
pub fn fetched_runtime(cache: &Path) -> PathBuf {
    cache
        .join("onnxruntime")
        .join(FETCHED_RUNTIME)
        .join(format!("libonnxruntime.so.{FETCHED_RUNTIME}"))
}
