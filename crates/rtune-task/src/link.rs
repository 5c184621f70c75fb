use serde::{Deserialize, Serialize};
use std::f64::consts::FRAC_1_SQRT_2;

/// The distribution function F of a cumulative-link model: P(y ≤ k) = F(c_k − s).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Link {
    /// F(x) = 1 / (1 + e^−x).
    #[default]
    Logit,
    /// F = the standard normal distribution function.
    Probit,
    /// F(x) = 1 − e^(−e^x), the complementary log-log.
    Cloglog,
}

impl Link {
    /// Returns the name that configuration files use.
    pub fn name(self) -> &'static str {
        match self {
            Self::Logit => "logit",
            Self::Probit => "probit",
            Self::Cloglog => "cloglog",
        }
    }

    /// Returns F(x).
    pub fn cumulative(self, x: f64) -> f64 {
        match self {
            Self::Logit => 1.0 / (1.0 + (-x).exp()),
            Self::Probit => 0.5 * libm::erfc(-x * FRAC_1_SQRT_2),
            Self::Cloglog => -(-x.exp()).exp_m1(),
        }
    }

    /// Returns the x with F(x) = `p`, for `p` strictly between 0 and 1.
    pub fn quantile(self, p: f64) -> f64 {
        match self {
            Self::Logit => (p / (1.0 - p)).ln(),
            Self::Cloglog => (-(-p).ln_1p()).ln(),
            Self::Probit => {
                // Bisection needs no tabulated approximation, and runs once per cutpoint.
                let (mut low, mut high) = (-40.0, 40.0);
                for _ in 0..200 {
                    let middle = 0.5 * (low + high);
                    if self.cumulative(middle) < p {
                        low = middle
                    } else {
                        high = middle
                    }
                }
                0.5 * (low + high)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantile_inverts_cumulative() {
        for link in [Link::Logit, Link::Probit, Link::Cloglog] {
            for p in [0.001, 0.1, 0.5, 0.9, 0.999] {
                assert!(
                    (link.cumulative(link.quantile(p)) - p).abs() < 1e-12,
                    "{link:?} {p}"
                );
            }
        }
    }
}
