//! Finds the ONNX Runtime library.

use crate::cache::{cache_folder, fetched_runtime};
use anyhow::Result;
use rtune_runtime::{Runtime, RuntimeError};
use std::path::PathBuf;

/// Returns the paths at which the library may be, each with its origin. `ORT_DYLIB_PATH` replaces
/// all others.
pub(crate) fn candidates() -> Vec<(PathBuf, &'static str)> {
    if let Some(path) = std::env::var_os("ORT_DYLIB_PATH").filter(|path| !path.is_empty()) {
        return vec![(path.into(), "ORT_DYLIB_PATH")];
    }
    let name = format!(
        "{}onnxruntime{}",
        std::env::consts::DLL_PREFIX,
        std::env::consts::DLL_SUFFIX
    );
    let mut found = Vec::new();
    if let Some(folder) = std::env::current_exe()
        .ok()
        .and_then(|exe| Some(exe.parent()?.to_owned()))
    {
        found.push((folder.join(&name), "beside the program"));
    }
    if let Some(cache) = cache_folder() {
        found.push((fetched_runtime(&cache), "fetched by cargo xtask fetch"));
    }
    for folder in [
        "/usr/local/lib",
        "/usr/lib",
        "/usr/lib/x86_64-linux-gnu",
        "/usr/lib/aarch64-linux-gnu",
        "/opt/homebrew/lib",
    ] {
        found.push((PathBuf::from(folder).join(&name), "installed on the system"));
    }
    found
}

/// Returns the library to use: the first candidate that exists.
pub(crate) fn find() -> Result<PathBuf, RuntimeError> {
    let candidates = candidates();
    let found = candidates
        .iter()
        .find(|(path, _)| path.is_file())
        .or_else(|| candidates.first());
    found
        .map(|(path, _)| path.clone())
        .ok_or_else(|| RuntimeError::Missing("libonnxruntime.so".into()))
}

/// Loads the library.
pub(crate) fn load() -> Result<Runtime, RuntimeError> {
    Runtime::load(&find()?)
}
