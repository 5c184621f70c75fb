//! The census of a model as the runtime rewrites it on this machine.

use crate::exit::usage;
use anyhow::{Context as _, Result};
use rtune_onnx::OnnxError;
use rtune_quant::{Census, census};
use rtune_runtime::{Optimization, Runtime, SessionOptions};
use std::path::Path;

/// Optimizes a model and counts the products that run as integers. The runtime writes the optimized
/// model to a temporary folder in `place`, by default that for temporary files.
pub(crate) fn optimized_census(
    runtime: &Runtime,
    file: &Path,
    place: Option<&Path>,
) -> Result<Census> {
    let folder = match place {
        Some(place) => tempfile::tempdir_in(place)?,
        None => tempfile::tempdir().map_err(|error| {
            let (place, kind) = (std::env::temp_dir(), error.kind());
            usage(format!(
                "{}: no temporary folder can be made there ({kind}); set TMPDIR to a folder that \
                 can be written",
                place.display()
            ))
        })?,
    };
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
