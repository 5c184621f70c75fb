//! The census of a model as the runtime rewrites it on this machine.

use anyhow::{Context as _, Result};
use rtune_onnx::OnnxError;
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
    // A file of a folder that is gone is no place to name.
    let rewritten = rtune_onnx::read(&path).map_err(|error| match error {
        OnnxError::File { source, .. } => *source,
        other => other,
    });
    let rewritten = rewritten.with_context(|| {
        let file = file.display();
        format!("{file}, as ONNX Runtime rewrites it on this machine")
    })?;
    Ok(census(&rewritten.graph))
}
