//! The loss without class weights.

use super::mean;

/// The mean squared error.
pub(super) fn squared_error(errors: impl Iterator<Item = f64>) -> f64 {
    mean(errors.map(|error| error * error))
}

/// The mean negative log-likelihood of the true classes.
pub(super) fn negative_log_likelihood(log_probabilities: impl Iterator<Item = f64>) -> f64 {
    mean(log_probabilities.map(|log| -log))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn losses_match_their_closed_forms() {
        assert_eq!(squared_error([1.0, -3.0].into_iter()), 5.0);
        let logs = [0.5_f64.ln(), 0.25_f64.ln()].into_iter();
        assert!((negative_log_likelihood(logs) - 1.5 * 2.0_f64.ln()).abs() < 1e-12);
    }
}
