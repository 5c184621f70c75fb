//! The likelihood of a cumulative-link model, computed from log-probabilities without cancellation,
//! so that value and gradient stay finite for scores far from every cutpoint.

use crate::{Link, OrdinalScale};

/// log P(y = k | s) and its derivatives by a = c_k − s and b = c_{k−1} − s. The derivative by an
/// open end is 0.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LogLikelihood {
    /// log P.
    pub value: f64,
    /// Derivative by the upper end a.
    pub by_upper: f64,
    /// Derivative by the lower end b.
    pub by_lower: f64,
}

impl OrdinalScale {
    /// Returns log P(y = `class` | `score`) of the cumulative-link model (McCullagh, 1980).
    ///
    /// Cutpoints that have merged count as a small gap apart. The complementary log-log continues
    /// e^x as a straight line beyond x = 30, so that it cannot overflow. NaN stays NaN.
    pub fn log_likelihood(&self, score: f64, class: usize) -> LogLikelihood {
        let upper = self.cutpoints().get(class).map(|c| c - score);
        let lower = class
            .checked_sub(1)
            .and_then(|k| self.cutpoints().get(k))
            .map(|c| c - score);
        match self.link() {
            Link::Logit => logit(upper, lower),
            Link::Probit => probit(upper, lower),
            Link::Cloglog => cloglog(upper, lower),
        }
    }
}

/// log σ(x).
fn log_sigmoid(x: f64) -> f64 {
    x.min(0.0) - (-x.abs()).exp().ln_1p()
}

/// log(1 − e^−x) for x > 0 (Mächler, 2012).
fn log_one_minus_exp(x: f64) -> f64 {
    if x < std::f64::consts::LN_2 {
        (-(-x).exp_m1()).ln()
    } else {
        (-(-x).exp()).ln_1p()
    }
}

/// log P = log σ(a) + log σ(−b) + log(1 − e^−(a−b)).
fn logit(upper: Option<f64>, lower: Option<f64>) -> LogLikelihood {
    let sigmoid = |x: f64| Link::Logit.cumulative(x);
    let mut result = LogLikelihood {
        value: 0.0,
        by_upper: 0.0,
        by_lower: 0.0,
    };
    if let Some(a) = upper {
        result.value += log_sigmoid(a);
        result.by_upper += sigmoid(-a);
    }
    if let Some(b) = lower {
        result.value += log_sigmoid(-b);
        result.by_lower -= sigmoid(b);
    }
    if let (Some(a), Some(b)) = (upper, lower) {
        let gap = smallest_gap(a - b);
        result.value += log_one_minus_exp(gap);
        let slope = 1.0 / gap.exp_m1();
        result.by_upper += slope;
        result.by_lower -= slope;
    }
    result
}

/// Returns a gap of at least 1e-9, so that the loss of merged cutpoints stays finite and pushes
/// them apart. NaN stays NaN.
fn smallest_gap(gap: f64) -> f64 {
    if gap < 1e-9 { 1e-9 } else { gap }
}

/// log Φ(x), from the complementary error function or, below −10, from a continued fraction.
fn log_normal_cdf(x: f64) -> f64 {
    if x > -10.0 {
        return (0.5 * libm::erfc(-x * std::f64::consts::FRAC_1_SQRT_2)).ln();
    }
    // Φ(x) = φ(x) / (−x + 1/(−x + 2/(−x + 3/(…)))) (Laplace, 1805).
    let z = -x;
    let fraction = (1..=30).rev().fold(z, |tail, n| z + f64::from(n) / tail);
    log_normal_density(x) - fraction.ln()
}

fn log_normal_density(x: f64) -> f64 {
    -0.5 * x * x - 0.5 * (2.0 * std::f64::consts::PI).ln()
}

/// log P = log(Φ(a) − Φ(b)), computed in the tail where both are small.
fn probit(upper: Option<f64>, lower: Option<f64>) -> LogLikelihood {
    let upper = upper.map(|a| lower.map_or(a, |b| b + smallest_gap(a - b)));
    let value = match (upper, lower) {
        (Some(a), None) => log_normal_cdf(a),
        (None, Some(b)) => log_normal_cdf(-b),
        (Some(a), Some(b)) => {
            let (high, low) = if b > 0.0 { (-b, -a) } else { (a, b) };
            let (high, low) = (log_normal_cdf(high), log_normal_cdf(low));
            let gap = high - low;
            high + log_one_minus_exp(if gap < 1e-15 { 1e-15 } else { gap })
        }
        (None, None) => 0.0,
    };
    LogLikelihood {
        value,
        by_upper: upper.map_or(0.0, |a| (log_normal_density(a) - value).exp()),
        by_lower: lower.map_or(0.0, |b| -(log_normal_density(b) - value).exp()),
    }
}

/// The x beyond which [`bounded_exp`] continues e^x as a straight line, so that no loss overflows.
const BEND: f64 = 30.0;

/// Returns e^x and its derivative; beyond [`BEND`], those of the tangent.
fn bounded_exp(x: f64) -> (f64, f64) {
    if x > BEND {
        (BEND.exp() * (1.0 + x - BEND), BEND.exp())
    } else {
        (x.exp(), x.exp())
    }
}

/// P = e^(−e^b) − e^(−e^a), with the ends e^(−e^∞) = 0 and e^(−e^−∞) = 1.
fn cloglog(upper: Option<f64>, lower: Option<f64>) -> LogLikelihood {
    let (low, low_slope) = lower.map_or((0.0, 0.0), bounded_exp);
    let mut result = LogLikelihood {
        value: -low,
        by_upper: 0.0,
        by_lower: -low_slope,
    };
    let Some(a) = upper.map(|a| lower.map_or(a, |b| b + smallest_gap(a - b))) else {
        return result;
    };
    // log P = −e^b + log(1 − e^−g) with g = e^a − e^b; log g is a sum in the tail where g itself
    // vanishes.
    let log_gap = match lower {
        _ if a > BEND => (bounded_exp(a).0 - low).ln(),
        Some(b) => b + (a - b).exp_m1().ln(),
        None => a,
    };
    let gap = log_gap.exp();
    result.value += if log_gap < -40.0 {
        log_gap
    } else {
        log_one_minus_exp(gap)
    };
    // d log(1 − e^−g) = g / (e^g − 1) · d log g
    let share = if gap < 1e-12 { 1.0 } else { gap / gap.exp_m1() };
    if share > 0.0 {
        result.by_upper += share * (a.min(BEND) - log_gap).exp();
        result.by_lower -= lower.map_or(0.0, |b| share * (b.min(BEND) - log_gap).exp());
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINKS: [Link; 3] = [Link::Logit, Link::Probit, Link::Cloglog];

    #[test]
    fn agrees_with_the_difference_of_distribution_functions() {
        let cutpoints = [-1.5, -0.2, 0.9];
        for link in LINKS {
            let scale = OrdinalScale::new(cutpoints.to_vec(), link);
            for score in [-0.7, 0.3, 1.9] {
                for class in 0..4 {
                    let upper = cutpoints
                        .get(class)
                        .map_or(1.0, |c| link.cumulative(c - score));
                    let lower = class
                        .checked_sub(1)
                        .map_or(0.0, |k| link.cumulative(cutpoints[k] - score));
                    let found = scale.log_likelihood(score, class).value;
                    assert!(
                        (found - (upper - lower).ln()).abs() < 1e-9,
                        "{link:?} {score} {class}: {found}"
                    );
                }
            }
        }
    }

    /// Compares the derivatives by both ends with central differences.
    fn check_slopes(link: Link, cutpoints: [f64; 2], score: f64) {
        for class in 0..3 {
            let at = |cutpoints: [f64; 2]| {
                OrdinalScale::new(cutpoints.to_vec(), link).log_likelihood(score, class)
            };
            let found = at(cutpoints);
            let merged = cutpoints[1] - cutpoints[0] < 1e-3;
            // Close ends cost the value digits, so that a short step would see nothing but
            // rounding.
            let (h, tolerance) = if merged { (1e-3, 1e-3) } else { (1e-6, 1e-4) };
            let slope = |upper: f64, lower: f64| {
                let move_by = |h: f64| {
                    let mut moved = cutpoints;
                    if class < 2 {
                        moved[class] += upper * h;
                    }
                    if class > 0 {
                        moved[class - 1] += lower * h;
                    }
                    at(moved).value
                };
                (move_by(h) - move_by(-h)) / (2.0 * h)
            };
            let place = format!("{link:?} {cutpoints:?} {score} {class}: {found:?}");
            // A common move of both ends is a move of the score, and must be right also where
            // cutpoints have merged.
            let sum = found.by_upper + found.by_lower;
            assert!(
                (slope(1.0, 1.0) - sum).abs() < tolerance * (1.0 + sum.abs()),
                "{place} {}",
                slope(1.0, 1.0)
            );
            if !merged {
                assert!(
                    (slope(1.0, 0.0) - found.by_upper).abs()
                        < tolerance * (1.0 + found.by_upper.abs()),
                    "{place}"
                );
                assert!(
                    (slope(0.0, 1.0) - found.by_lower).abs()
                        < tolerance * (1.0 + found.by_lower.abs()),
                    "{place}"
                );
            }
        }
    }

    #[test]
    fn slopes_match_differences_also_in_the_tails_and_for_merged_cutpoints() {
        for link in LINKS {
            for score in [-20.0, -3.0, 0.0, 0.7, 3.0, 20.0, 40.0, 300.0, 760.0] {
                check_slopes(link, [-1.0, 0.5], score);
                check_slopes(link, [0.5, 0.5], score);
            }
        }
    }

    #[test]
    fn nan_propagates() {
        for link in LINKS {
            for class in 0..3 {
                let value = OrdinalScale::new(vec![-1.0, 0.5], link)
                    .log_likelihood(f64::NAN, class)
                    .value;
                assert!(value.is_nan(), "{link:?} {class}: {value}");
            }
        }
    }

    #[test]
    fn tails_match_their_asymptotic_form() {
        let scale = |link| OrdinalScale::new(vec![-1.0, 0.5], link);
        // σ(−1 − 300) = e^−301 nearly; the class between loses the gap's log(1 − e^−1.5) as well.
        let logit = |class| scale(Link::Logit).log_likelihood(300.0, class).value;
        assert!((logit(0) + 301.0).abs() < 1e-9);
        assert!((logit(1) - (-299.5 + (1.0 - (-1.5_f64).exp()).ln())).abs() < 1e-9);
        assert!(logit(2).abs() < 1e-9);
        // log Φ(−x) = −x²/2 − log(x √2π) − 1/x² nearly.
        let x: f64 = 301.0;
        let expected =
            -0.5 * x * x - (x * (2.0 * std::f64::consts::PI).sqrt()).ln() - 1.0 / (x * x);
        assert!((scale(Link::Probit).log_likelihood(300.0, 0).value - expected).abs() < 1e-6);
        for link in LINKS {
            for score in [-300.0, 300.0] {
                assert!(
                    (0..3).all(|class| scale(link).log_likelihood(score, class).value.is_finite()),
                    "{link:?}"
                );
            }
        }
    }
}
