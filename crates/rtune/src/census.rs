//! The census of a model as the runtime rewrites it on this machine.

use anyhow::Result;
use rtune_quant::{Census, census};
use rtune_runtime::{Optimization, Runtime, SessionOptions};
use std::path::Path;

/// Optimizes a model and counts the products that run as integers.
pub(crate) fn optimized_census(runtime: &Runtime, file: &Path) -> Result<Census> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("optimized.onnx");
    let options = SessionOptions {
        threads: 1,
        optimization: Optimization::All,
        optimized_model: Some(path.clone()),
    };
    drop(runtime.open(file, &options)?);
    Ok(census(&rtune_onnx::read(&path)?.graph))
}
