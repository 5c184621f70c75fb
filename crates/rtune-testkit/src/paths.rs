use crate::cache;
use std::path::{Path, PathBuf};

/// The folder that `cargo xtask fetch` fills: `RTUNE_CACHE`, or `rtune` in the user's cache folder.
pub fn cache_folder() -> PathBuf {
    cache::cache_folder().unwrap_or_else(|| PathBuf::from(".rtune-cache"))
}

/// The path of the ONNX Runtime library: `ORT_DYLIB_PATH`, or the fetched one.
pub fn runtime_library() -> PathBuf {
    let named = std::env::var_os("ORT_DYLIB_PATH")
        .filter(|value| !value.is_empty())
        .map(PathBuf::from);
    named.unwrap_or_else(|| cache::fetched_runtime(&cache_folder()))
}

/// The folder of the fetched all-MiniLM-L6-v2.
pub fn fetched_model() -> PathBuf {
    cache_folder().join("models/all-MiniLM-L6-v2")
}

/// The folder of the fetched reviews: train.csv, validation.csv and test.csv.
pub fn fetched_reviews() -> PathBuf {
    cache_folder().join("data/reviews")
}

/// The folder of the models that `cargo xtask quickstart` makes.
pub fn quickstart_folder() -> PathBuf {
    cache_folder().join("quickstart")
}

/// The root of the source tree.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The folder `fixtures/` of the source tree.
pub fn fixtures() -> PathBuf {
    root().join("fixtures")
}
