//! The class probabilities of an ordinal model as a part of its forward, in single precision.
//!
//! The reference is the likelihood of `rtune-task`. Here, too, no step subtracts two numbers that
//! are nearly equal, so a graph of 32-bit floats keeps its digits far from every cutpoint and for
//! narrow classes. All that depends on cutpoints alone is computed beforehand, in double precision.

use crate::{Constant, Ops, Result, Var};
use candle_core::D;
use rtune_task::{Link, OrdinalScale};

/// The smallest width of a class, as in the likelihood of `rtune-task`.
const SMALLEST_GAP: f64 = 1e-9;

/// Computes log P(y = k) of a score for each class of a cumulative-link model.
///
/// # Shapes
/// score `[batch, 1]` → `[batch, classes]`
///
/// # Errors
/// If the interpreter cannot do it, or the shapes do not fit.
pub fn class_log_probabilities<'a, O: Ops>(
    score: &Var<'a, O>,
    scale: &OrdinalScale,
) -> Result<Var<'a, O>> {
    let _scope = score.ops().scope("classes");
    let parts = Parts {
        score,
        cutpoints: scale.cutpoints(),
    };
    match scale.link() {
        Link::Logit => parts.logit(),
        Link::Probit => parts.probit(),
        Link::Cloglog => parts.cloglog(),
    }
}

/// log(1 + e^x).
fn softplus<'a, O: Ops>(x: &Var<'a, O>) -> Result<Var<'a, O>> {
    x.relu()? + (x.abs()?.neg()?.exp()? + 1.0)?.log()?
}

/// log(1 − e^−x) for x > 0, as log(2t / (1 + t)) with t = tanh(x / 2).
fn log_one_minus_exp<'a, O: Ops>(x: &Var<'a, O>) -> Result<Var<'a, O>> {
    let t = (x * 0.5)?.tanh()?;
    ((&t * 2.0)? / (t + 1.0)?)?.log()
}

/// The x beyond which the complementary log-log continues e^x as a straight line, as in the
/// likelihood of `rtune-task`.
const BEND: f64 = 30.0;
/// The log x below which log(1 − e^−x) is log x in single precision.
const TINY: f64 = -15.0;
/// The log x above which log(1 − e^−x) is 0 in single precision.
const HUGE: f64 = 3.0;
/// The width of the widest class whose density is integrated.
const NARROW: f64 = 0.25;

/// The parts of the formulas. The first and the last class have one cutpoint each and the others
/// two, so most parts have a column less than there are classes, and zeros are put beside them.
struct Parts<'s, 'a, O: Ops> {
    score: &'s Var<'a, O>,
    cutpoints: &'s [f64],
}

impl<'a, O: Ops> Parts<'_, 'a, O> {
    fn constant(&self, name: &str, dims: &[usize], values: &[f64]) -> Result<Var<'a, O>> {
        let values = values.iter().map(|value| *value as f32).collect();
        let name = format!("classes.{name}");
        self.score.constant(&Constant::float(name, dims, values)?)
    }

    fn row(&self, name: &str, values: &[f64]) -> Result<Var<'a, O>> {
        self.constant(name, &[1, values.len()], values)
    }

    /// The cutpoints less the score: `[batch, classes − 1]`.
    fn above(&self) -> Result<Var<'a, O>> {
        self.row("cutpoints", self.cutpoints)? - self.score
    }

    /// Zeros, or NaN of a score that is no number: `[batch, 1]`.
    fn zero(&self) -> Result<Var<'a, O>> {
        self.score * 0.0
    }

    /// The widths of the classes between the first and the last: `[classes − 2]`.
    fn widths(&self) -> Vec<f64> {
        let pairs = self.cutpoints.windows(2);
        pairs
            .map(|pair| (pair[1] - pair[0]).max(SMALLEST_GAP))
            .collect()
    }

    /// log P = −log(1 + e^(s − upper)) − log(1 + e^(lower − s)) + log(1 − e^−width).
    fn logit(&self) -> Result<Var<'a, O>> {
        let (above, zero) = (self.above()?, self.zero()?);
        let upper = softplus(&above.neg()?)?;
        let lower = softplus(&above)?;
        let gaps = self
            .widths()
            .into_iter()
            .map(|width| (-(-width).exp_m1()).ln());
        let gaps: Vec<f64> = [0.0].into_iter().chain(gaps).chain([0.0]).collect();
        let ends = (Var::cat(&[&upper, &zero], 1)? + Var::cat(&[&zero, &lower], 1)?)?;
        self.row("gap", &gaps)? - ends
    }

    /// log P = −e^b + log(1 − e^−g) with b = lower − s and g = e^(upper − s) − e^b, whose logarithm
    /// is a constant, less s.
    fn cloglog(&self) -> Result<Var<'a, O>> {
        let (b, zero) = (self.above()?, self.zero()?);
        let line = ((&b - BEND)?.relu()? + 1.0)?;
        let limit = self.constant("bend", &[1], &[BEND])?;
        let lower = (b.minimum(&limit)?.exp()? * line)?;
        // e^b is 0 for the first class; for the last, g is infinite.
        let pairs = self.cutpoints.iter().zip(self.widths());
        let gaps = pairs.map(|(lower, width)| lower + width.exp_m1().ln());
        let gaps: Vec<f64> = self.cutpoints.iter().copied().take(1).chain(gaps).collect();
        let gap = (self.row("log_gap", &gaps)? - self.score)?;
        let part = log_one_minus_exp(&gap.clamp(TINY, HUGE)?.exp()?)?;
        // The clamp has cut this off: log x − TINY if that is negative.
        let rest = (gap - TINY)?.neg()?.relu()?;
        Var::cat(&[&(part - rest)?, &zero], 1)? - Var::cat(&[&zero, &lower], 1)?
    }

    /// log P = log Q(x) + log(1 − e^−d) with d = log Q(x) − log Q(x + width), where
    /// Q(x) = 1 − Φ(x) and x is the nearer end of the class: the density is symmetric, so that all
    /// of it can be in the upper tail. For narrow classes d has no digits, and the density is
    /// integrated.
    fn probit(&self) -> Result<Var<'a, O>> {
        let above = self.above()?;
        let below = above.neg()?;
        let count = self.cutpoints.len();
        let first = below.narrow(1, 0, 1)?;
        let last = above.narrow(1, count - 1, 1)?;
        if count == 1 {
            return log_upper_tail(&Var::cat(&[&first, &last], 1)?);
        }
        let inner = count - 1;
        let near = above.narrow(1, 0, inner)?;
        let near = near.maximum(&below.narrow(1, 1, inner)?)?;
        let widths = self.widths();
        let row = self.row("width", &widths)?;
        let far = (&near + &row)?;
        let tails = log_upper_tail(&Var::cat(&[&first, &near, &last, &far], 1)?)?;
        let near = tails.narrow(1, 1, inner)?;
        let far = tails.narrow(1, count + 1, inner)?;
        let mut middle = (&near + log_one_minus_exp(&(&near - far)?)?)?;
        if widths.iter().any(|width| *width <= NARROW) {
            let is_wide = row.gt(&self.constant("narrow", &[1], &[NARROW])?)?;
            middle = is_wide.where_cond(&middle, &self.integral(&widths)?)?;
        }
        let (first, last) = (tails.narrow(1, 0, 1)?, tails.narrow(1, count, 1)?);
        Var::cat(&[&first, &middle, &last], 1)
    }

    /// log ∫ φ over each class between the first and the last by Gauss's rule, as the logarithm of
    /// a sum of exponentials: `[batch, classes − 2]`.
    fn integral(&self, widths: &[f64]) -> Result<Var<'a, O>> {
        let rule = || {
            GAUSS
                .into_iter()
                .flat_map(|[x, weight]| [[-x, weight], [x, weight]])
        };
        let (mut points, mut weights) = (Vec::new(), Vec::new());
        for (lower, width) in self.cutpoints.iter().zip(widths) {
            // Of wide classes, whose result is not taken, a part.
            let width = width.min(NARROW);
            let density = 0.5 * width / (2.0 * std::f64::consts::PI).sqrt();
            points.extend(rule().map(|[x, _]| lower + 0.5 * width * (1.0 + x)));
            weights.extend(rule().map(|[_, weight]| (density * weight).ln()));
        }
        let dims = [1, widths.len(), 2 * GAUSS.len()];
        let points = self.constant("points", &dims, &points)?;
        let weights = self.constant("weights", &dims, &weights)?;
        let squares = (points - self.score.unsqueeze(D::Minus1)?)?.sqr()?;
        let terms = ((squares * -0.5)? + weights)?;
        let largest = terms.max_keepdim(D::Minus1)?;
        let sum = (terms - &largest)?.exp()?.sum_keepdim(D::Minus1)?;
        (sum.log()? + largest)?.squeeze(D::Minus1)
    }
}

/// log Q(x) + x²/2 − log t as a polynomial of t = 1 / (1 + x / √8), which interpolates at the
/// Chebyshev points of 0 < t < 1. The largest error is 1e-7.
const TAIL: [f64; 11] = [
    -1.958_659_390_9,
    1.000_020_943_0,
    0.374_176_088_2,
    0.095_772_412_4,
    -0.180_061_513_1,
    0.256_715_070_2,
    -1.086_955_625_2,
    1.423_171_953_3,
    -0.768_458_091_9,
    0.146_361_387_4,
    0.004_769_650_4,
];

/// log Q(x), the logarithm of the upper tail of the normal distribution.
fn log_upper_tail<'a, O: Ops>(x: &Var<'a, O>) -> Result<Var<'a, O>> {
    let distance = x.abs()?;
    let t = distance.affine(8_f64.sqrt().recip(), 1.0)?.recip()?;
    let mut polynomial = (&t * TAIL[10])?;
    for coefficient in TAIL[1..10].iter().rev() {
        polynomial = ((polynomial + *coefficient)? * &t)?;
    }
    let polynomial = (polynomial + TAIL[0])?;
    let tail = ((distance.sqr()? * -0.5)? + (t.log()? + polynomial)?)?;
    // Q(−x) = 1 − Q(x), and Q(x) ≤ 1/2.
    let other = tail.exp()?.affine(-1.0, 1.0)?.log()?;
    let is_negative = x.lt(&x.constant(&Constant::float("classes.zero", &[1], vec![0.0])?)?)?;
    is_negative.where_cond(&other, &tail)
}

/// The points and weights of Gauss's rule of 8 points on −1 to 1, one half of them.
const GAUSS: [[f64; 2]; 4] = [
    [0.183_434_642_495_649_8, 0.362_683_783_378_362],
    [0.525_532_409_916_329, 0.313_706_645_877_887_3],
    [0.796_666_477_413_626_7, 0.222_381_034_453_374_5],
    [0.960_289_856_497_536_2, 0.101_228_536_290_376_3],
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Eager;
    use candle_core::{Device, Tensor};

    const SCALES: [&[f64]; 6] = [
        &[0.3],
        &[-1.0, 0.5],
        &[-1.5, -0.2, -0.1999, 0.05, 0.9, 7.0],
        &[-1.0, -1.0 + 1e-7, 2.0],
        &[-30.0, 0.0, 0.2, 60.0],
        &[4.0, 4.2, 4.5],
    ];

    /// All scores at once, for a scale and a link.
    fn found(scale: &OrdinalScale, scores: &[f32]) -> Result<Vec<Vec<f32>>> {
        let ops = Eager::new();
        let scores = Tensor::from_slice(scores, (scores.len(), 1), &Device::Cpu)?;
        let found = class_log_probabilities(&Var::new(&ops, scores), scale)?;
        Ok(found.into_value().to_vec2()?)
    }

    #[test]
    fn agrees_with_the_likelihood_also_in_the_tails_and_for_narrow_classes() -> Result<()> {
        let near = (-400..=400_i16).map(|step| f32::from(step) / 40.0 + 0.0031);
        let scores: Vec<f32> = near
            .chain([-300.0, -90.0, -41.5, -20.0, 20.0, 41.5, 90.0, 300.0])
            .collect();
        for link in [Link::Logit, Link::Probit, Link::Cloglog] {
            for cutpoints in SCALES {
                // As the graph has them.
                let cutpoints = cutpoints.iter().map(|c| f64::from(*c as f32)).collect();
                let scale = OrdinalScale::new(cutpoints, link);
                for (row, score) in found(&scale, &scores)?.iter().zip(&scores) {
                    let expected = scale.log_probabilities(f64::from(*score));
                    assert_eq!(row.len(), expected.len());
                    for (found, expected) in row.iter().zip(&expected) {
                        let difference = (f64::from(*found) - expected).abs();
                        assert!(
                            difference <= 4e-6 * (1.0 + expected.abs()),
                            "{scale:?} {score}: found {found}, expected {expected}"
                        );
                        let difference = (f64::from(*found).exp() - expected.exp()).abs();
                        assert!(difference < 1e-6, "{scale:?} {score}: {difference}");
                    }
                }
            }
        }
        Ok(())
    }

    #[test]
    fn nan_propagates() -> Result<()> {
        for link in [Link::Logit, Link::Probit, Link::Cloglog] {
            let scale = OrdinalScale::new(vec![-1.0, 0.5], link);
            let rows = found(&scale, &[f32::NAN])?;
            assert!(
                rows[0].iter().all(|value| value.is_nan()),
                "{link:?}: {rows:?}"
            );
        }
        Ok(())
    }
}
