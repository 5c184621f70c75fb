use crate::Link;

/// Ascending cutpoints c_0 < … < c_{K−2} that turn a score into the probabilities of K classes.
#[derive(Debug, Clone, PartialEq)]
pub struct OrdinalScale {
    cutpoints: Vec<f64>,
    link: Link,
}

impl OrdinalScale {
    /// Creates a scale from ascending cutpoints.
    pub fn new(cutpoints: Vec<f64>, link: Link) -> Self {
        Self { cutpoints, link }
    }

    /// Returns the cutpoints.
    pub fn cutpoints(&self) -> &[f64] {
        &self.cutpoints
    }

    /// Returns the link.
    pub fn link(&self) -> Link {
        self.link
    }

    /// Returns log P(y = k | s) for each class k.
    ///
    /// # Shapes
    /// One score → K log-probabilities
    pub fn log_probabilities(&self, score: f64) -> Vec<f64> {
        (0..=self.cutpoints.len())
            .map(|class| self.log_likelihood(score, class).value)
            .collect()
    }

    /// Returns P(y = k | s) = F(c_k − s) − F(c_{k−1} − s) for each class k, with the two ends open
    /// (McCullagh, 1980), computed in log space.
    ///
    /// # Shapes
    /// One score → K probabilities that add up to 1.
    pub fn probabilities(&self, score: f64) -> Vec<f64> {
        self.log_probabilities(score)
            .into_iter()
            .map(f64::exp)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn probabilities_match_a_hand_computed_table() {
        // σ(−1) = 0.268941421, σ(1) = 0.731058579.
        let found = OrdinalScale::new(vec![-1.0, 1.0], Link::Logit).probabilities(0.0);
        for (found, expected) in found
            .iter()
            .zip([0.268_941_421, 0.462_117_157, 0.268_941_421])
        {
            assert!((found - expected).abs() < 1e-9);
        }
    }
}
