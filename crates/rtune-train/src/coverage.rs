use crate::{Gradients, TrainError};
use rtune_nn::Param;

/// Checks that every parameter received a gradient, and that each is finite.
///
/// # Errors
/// If a parameter has no gradient or one that is not finite; the error names all of them.
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
    let non_finite = names(&|param| Ok(!gradients[param.name()].is_finite()?))?;
    if !non_finite.is_empty() {
        return Err(TrainError::Coverage {
            step,
            problem: "parameters whose gradient is not finite",
            parameters: non_finite,
        });
    }
    Ok(())
}
