//! The standardized units in which a regression is trained.
//!
//! The targets have mean 0 and deviation 1 there, so that one learning rate serves targets of any
//! unit. A model has the statistics of its targets in its task; models of other tasks, and
//! regressions without statistics, are trained as they are.

use crate::TrainError;
use rtune_nn::{HeadOrigin, TextModel};
use rtune_task::{Prediction, TargetStatistics};

/// Brings the head of a checkpoint to standardized units, so that the model stays the same
/// function. A new head starts at the mean of the targets instead.
pub(crate) fn standardize(model: &TextModel, head: &HeadOrigin) -> Result<(), TrainError> {
    match (model.spec().targets, head) {
        (Some(TargetStatistics { mean, deviation }), HeadOrigin::Checkpoint) => {
            Ok(model.head().rescale(1.0 / deviation, -mean / deviation)?)
        }
        _ => Ok(()),
    }
}

/// Makes the head give numbers in the unit of the targets again.
pub(crate) fn restore(model: &TextModel) -> Result<(), TrainError> {
    match model.spec().targets {
        Some(TargetStatistics { mean, deviation }) => Ok(model.head().rescale(deviation, mean)?),
        None => Ok(()),
    }
}

/// Brings predictions to the unit of the targets.
pub(crate) fn restore_predictions(model: &TextModel, predictions: &mut [Prediction]) {
    let Some(statistics) = model.spec().targets else {
        return;
    };
    for prediction in predictions {
        // The output of the saved model is a 32-bit float.
        prediction.score = f64::from(statistics.restore(prediction.score) as f32);
    }
}

/// The factor that brings a loss to the unit of the targets, squared.
pub(crate) fn loss_factor(model: &TextModel) -> f64 {
    let targets = model.spec().targets;
    targets.map_or(1.0, |statistics| statistics.deviation.powi(2))
}
