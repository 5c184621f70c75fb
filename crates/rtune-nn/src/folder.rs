//! Checks of a checkpoint's folder.

use crate::weights::weights_of;
use crate::{NnError, Result};
use std::path::Path;

/// Refuses a folder with an adapter beside the weights: Hugging Face's loader applies it.
pub(crate) fn check_adapter(folder: &Path) -> Result<()> {
    let path = folder.join("adapter_config.json");
    if !path.is_file() || weights_of(folder).is_none() {
        return Ok(());
    }
    let problem =
        "belongs to an adapter, which rtune does not apply to the weights beside it; merge \
                   it into them, or move it out of the folder"
            .to_owned();
    Err(NnError::File { path, problem })
}

/// Names the folder in errors of settings.
pub(crate) fn in_folder(folder: &Path) -> impl Fn(NnError) -> NnError {
    move |error| match error {
        NnError::Config { place, problem } => {
            NnError::config(format!("{}: {place}", folder.display()), problem)
        }
        other => other,
    }
}
