use crate::TaskError;
use serde::{Deserialize, Serialize};

/// The rule that picks one class from the probabilities of an ordinal model.
///
/// If the probabilities are right, each rule makes another expected loss smallest: [`Mode`] the
/// share of wrong labels, [`Median`] the absolute error in classes, [`Mean`] the squared error, and
/// so it is the best of the three for kappa with quadratic weights.
///
/// [`Mode`]: Decision::Mode
/// [`Median`]: Decision::Median
/// [`Mean`]: Decision::Mean
///
/// ```
/// use rtune_task::Decision;
///
/// let probabilities = [0.40, 0.05, 0.15, 0.40];
/// let classes = Decision::ALL.map(|decision| decision.class(&probabilities));
/// assert_eq!(classes, [0, 2, 2]);
/// let one_sided = [0.51, 0.0, 0.0, 0.49];
/// assert_eq!(Decision::Median.class(&one_sided), 0);
/// assert_eq!(Decision::Mean.class(&one_sided), 1);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Decision {
    /// The most probable class, the lowest of equals. The rule of models without another one.
    #[default]
    Mode,
    /// The first class whose cumulative probability reaches 1/2.
    Median,
    /// The expected class, rounded; halves are rounded up.
    Mean,
}

impl Decision {
    /// All rules, in the order of every list.
    pub const ALL: [Self; 3] = [Self::Mode, Self::Median, Self::Mean];

    /// The name in flags, files and reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Mode => "mode",
            Self::Median => "median",
            Self::Mean => "mean",
        }
    }

    /// Returns the class that the rule picks; 0 if a probability is NaN, or if there is none.
    ///
    /// # Shapes
    /// probabilities `[classes]`, of any common scale
    pub fn class(self, probabilities: &[f64]) -> usize {
        if probabilities.iter().any(|p| p.is_nan()) {
            return 0;
        }
        match self {
            Self::Mode => mode(probabilities),
            Self::Median => median(probabilities),
            Self::Mean => mean(probabilities),
        }
    }
}

impl std::fmt::Display for Decision {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.name())
    }
}

impl std::str::FromStr for Decision {
    type Err = TaskError;

    fn from_str(name: &str) -> Result<Self, TaskError> {
        let mut all = Self::ALL.into_iter();
        all.find(|decision| decision.name() == name).ok_or_else(|| {
            let names = Self::ALL.map(Self::name).join(", ");
            TaskError::new("decision", format!("is `{name}`, expected one of {names}"))
        })
    }
}

fn mode(probabilities: &[f64]) -> usize {
    let better = |best: usize, (class, p): (usize, &f64)| match *p > probabilities[best] {
        true => class,
        false => best,
    };
    probabilities.iter().enumerate().fold(0, better)
}

/// Compares the sum up to a class with the sum above it: both are sums of positive numbers, so the
/// median depends neither on the rounding of a total nor on its distance from 1.
fn median(probabilities: &[f64]) -> usize {
    let mut above = vec![0.0; probabilities.len()];
    for class in (1..probabilities.len()).rev() {
        above[class - 1] = above[class] + probabilities[class];
    }
    let mut up_to = 0.0;
    let reaches = |(p, above): (&f64, f64)| {
        up_to += p;
        up_to >= above
    };
    probabilities
        .iter()
        .zip(above)
        .position(reaches)
        .unwrap_or(0)
}

fn mean(probabilities: &[f64]) -> usize {
    let total: f64 = probabilities.iter().sum();
    let terms = probabilities.iter().enumerate();
    let sum: f64 = terms.map(|(class, p)| class as f64 * p).sum();
    // The expectation lies between the first and the last class; NaN of nothing becomes 0.
    (sum / total + 0.5).floor() as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Link, OrdinalScale};

    const LINKS: [Link; 3] = [Link::Logit, Link::Probit, Link::Cloglog];

    #[test]
    fn ties_follow_the_documentation() {
        use Decision::{Mean, Median, Mode};
        let cases: [(Decision, &[f64], usize); 12] = [
            (Mode, &[0.2, 0.4, 0.4], 1),
            (Mode, &[0.25; 4], 0),
            (Median, &[0.5, 0.5], 0),
            (Median, &[0.25; 4], 1),
            (Median, &[0.0, 1.0, 0.0], 1),
            (Median, &[0.0, 0.0, 1.0], 2),
            (Mean, &[0.5, 0.5], 1),
            (Mean, &[0.25; 4], 2),
            (Mean, &[0.75, 0.0, 0.25], 1),
            (Mean, &[0.0, 0.0, 1.0], 2),
            (Mean, &[f64::NAN, 1.0], 0),
            (Median, &[], 0),
        ];
        for (decision, probabilities, class) in cases {
            assert_eq!(
                decision.class(probabilities),
                class,
                "{decision} {probabilities:?}"
            );
        }
    }

    /// The median of a cumulative-link model is the first class whose cutpoint is at or above
    /// s + F⁻¹(1/2), which needs no probabilities.
    #[test]
    fn the_median_is_that_of_the_cutpoints() {
        let cutpoints = [-1.5, -0.2, -0.1999, 0.9, 7.0];
        for link in LINKS {
            let scale = OrdinalScale::new(cutpoints.to_vec(), link);
            for step in -4000..4000 {
                let score = f64::from(step) / 100.0 + 0.00301;
                let middle = score + link.quantile(0.5);
                let expected = cutpoints.iter().filter(|c| **c < middle).count();
                let found = Decision::Median.class(&scale.probabilities(score));
                assert_eq!(found, expected, "{link:?} {score}");
            }
        }
    }

    #[test]
    fn each_rule_has_the_smallest_expected_loss_of_its_kind() {
        for link in LINKS {
            let scale = OrdinalScale::new(vec![-1.5, -0.2, 0.4, 2.0], link);
            for step in -40..40 {
                let probabilities = scale.probabilities(f64::from(step) / 10.0 + 0.0123);
                let losses: [fn(f64) -> f64; 3] =
                    [|d| f64::from(u8::from(d != 0.0)), f64::abs, |d| d * d];
                for (decision, loss) in Decision::ALL.into_iter().zip(losses) {
                    let expected = |class: usize| -> f64 {
                        let terms = probabilities.iter().enumerate();
                        terms.map(|(k, p)| p * loss(k as f64 - class as f64)).sum()
                    };
                    let found = expected(decision.class(&probabilities));
                    let best = (0..5).map(expected).fold(f64::INFINITY, f64::min);
                    assert!(
                        found <= best + 1e-12,
                        "{decision} {link:?} {probabilities:?}"
                    );
                }
            }
        }
    }

    #[test]
    fn scores_far_from_all_cutpoints_have_the_outer_classes() {
        for link in LINKS {
            let scale = OrdinalScale::new(vec![-1.0, 0.0, 1.0], link);
            for decision in Decision::ALL {
                for (score, class) in [(-300.0, 0), (300.0, 3)] {
                    let found = decision.class(&scale.probabilities(score));
                    assert_eq!(found, class, "{link:?} {decision} {score}");
                }
            }
        }
    }

    #[test]
    fn names_are_those_of_json() {
        for decision in Decision::ALL {
            let json = serde_json::to_value(decision).unwrap();
            assert_eq!(json, decision.name());
            assert_eq!(decision.name().parse(), Ok(decision));
        }
        let error = "average".parse::<Decision>().unwrap_err().to_string();
        assert_eq!(
            error,
            "decision: is `average`, expected one of mode, median, mean"
        );
    }
}
