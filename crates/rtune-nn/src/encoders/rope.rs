//! Rotary positions as `config.json` describes them.

use crate::{NnError, Result};
use serde::Deserialize;

/// The parameters of a rotation: `rope_parameters` of transformers 5, `rope_scaling` of earlier
/// versions, which has the theta beside it.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[expect(missing_docs, reason = "the names and meanings are Hugging Face's")]
pub struct RopeParameters {
    pub rope_type: Option<String>,
    // The older name.
    #[serde(rename = "type")]
    pub old_type: Option<String>,
    pub rope_theta: Option<f64>,
    pub factor: Option<f64>,
    pub partial_rotary_factor: Option<f64>,
}

impl RopeParameters {
    /// The kind of the rotation; `default` if it is not stated.
    pub(super) fn kind(&self) -> &str {
        let stated = self.rope_type.as_deref().or(self.old_type.as_deref());
        stated.unwrap_or("default")
    }

    /// Checks that the rotation is the usual one, or one of `others`. `place` is the key in
    /// config.json.
    ///
    /// # Errors
    /// If it is not, or turns only a part of each head.
    pub(super) fn check(&self, place: &str, others: &[&str]) -> Result<()> {
        let kind = self.kind();
        if kind != "default" && !others.contains(&kind) {
            let supported = [&["default"], others].concat().join(", ");
            return Err(NnError::config(
                format!("{place} in config.json"),
                format!("rope_type `{kind}` is not supported; supported: {supported}"),
            ));
        }
        match self.partial_rotary_factor {
            None | Some(1.0) => Ok(()),
            Some(share) => Err(NnError::config(
                format!("{place} in config.json"),
                format!("partial_rotary_factor is {share}, but only 1 is supported"),
            )),
        }
    }
}

/// The theta of a file: that of `rope_parameters`, or that of a field of its own.
pub(super) fn theta(parameters: Option<&RopeParameters>, field: Option<f64>) -> Option<f64> {
    parameters.and_then(|found| found.rope_theta).or(field)
}

/// Checks that a theta is a number above 1, and the width of heads even: rotations turn pairs.
pub(super) fn check_rotation(place: &str, theta: f64, head_dim: usize) -> Result<()> {
    if !(theta.is_finite() && theta > 1.0) {
        return Err(NnError::config(
            format!("{place} in config.json"),
            format!("is {theta}, expected more than 1"),
        ));
    }
    match head_dim.is_multiple_of(2) {
        true => Ok(()),
        false => Err(NnError::config(
            "config.json",
            format!("each head has width {head_dim}, but rotary positions need an even one"),
        )),
    }
}
