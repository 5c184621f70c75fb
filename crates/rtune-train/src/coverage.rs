use crate::{Gradients, TrainError};
use rtune_nn::Param;

/// Checks that every parameter received a gradient, and that each is finite.
///
/// # Errors
/// The parameters without one, by name.
pub fn check_coverage(
    params: &[&Param],
    gradients: &Gradients,
    step: usize,
) -> Result<(), TrainError> {
    let names =
        |wanted: &dyn Fn(&Param) -> Result<bool, TrainError>| -> Result<Vec<String>, TrainError> {
            let mut names = Vec::new();
            for param in params {
                if wanted(param)? {
                    names.push(param.name().to_owned());
                }
            }
            Ok(names)
        };
    let missing = names(&|param| Ok(!gradients.contains_key(param.name())))?;
    if !missing.is_empty() {
        return Err(TrainError::Coverage {
            step,
            problem: "parameters without a gradient",
            parameters: missing,
        });
    }
    let broken = names(&|param| {
        let gradient = gradients[param.name()]
            .abs()?
            .flatten_all()?
            .max(0)?
            .to_scalar::<f32>()?;
        Ok(!gradient.is_finite()
            || gradients[param.name()]
                .sum_all()?
                .to_scalar::<f32>()?
                .is_nan())
    })?;
    if !broken.is_empty() {
        return Err(TrainError::Coverage {
            step,
            problem: "parameters whose gradient is not finite",
            parameters: broken,
        });
    }
    Ok(())
}
