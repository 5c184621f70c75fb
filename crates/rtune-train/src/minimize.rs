//! Minimization of a smooth function of few variables.

/// The number of past steps from which curvature is estimated.
const MEMORY: usize = 10;
const MAX_ITERATIONS: usize = 200;
/// The slope at which a point counts as a minimum, as a share of the first slope.
const TOLERANCE: f64 = 1e-3;

/// A step and the change of the gradient over it.
struct Pair {
    step: Vec<f64>,
    change: Vec<f64>,
    /// 1 / (step · change).
    scale: f64,
}

/// Minimizes `function`, which returns value and gradient, from `start` on, by L-BFGS (Nocedal,
/// 1980) with halving of steps. The result is never worse than `start`.
///
/// It has the lowest value for a convex function; a value that is not finite ends a step early.
pub(crate) fn minimize(start: Vec<f64>, function: impl Fn(&[f64]) -> (f64, Vec<f64>)) -> Vec<f64> {
    let mut point = start;
    let (mut value, mut gradient) = function(&point);
    let first_slope = norm(&gradient);
    let mut pairs: Vec<Pair> = Vec::new();
    for _ in 0..MAX_ITERATIONS {
        let slope = norm(&gradient);
        let is_minimum = slope <= TOLERANCE * first_slope;
        if is_minimum || !slope.is_finite() {
            break;
        }
        let mut direction = descend(&gradient, &pairs);
        if dot(&direction, &gradient) >= 0.0 {
            pairs.clear();
            direction = gradient.iter().map(|g| -g).collect();
        }
        let first = if pairs.is_empty() {
            1.0 / slope.max(1.0)
        } else {
            1.0
        };
        let Some((next, next_value, next_gradient)) =
            search(&function, &point, (value, &gradient), &direction, first)
        else {
            break;
        };
        let step = minus(&next, &point);
        let change = minus(&next_gradient, &gradient);
        let curvature = dot(&step, &change);
        if curvature > 1e-12 * dot(&change, &change) {
            if pairs.len() == MEMORY {
                pairs.remove(0);
            }
            let scale = 1.0 / curvature;
            pairs.push(Pair {
                step,
                change,
                scale,
            });
        }
        (point, value, gradient) = (next, next_value, next_gradient);
    }
    point
}

/// The direction of the next step: the two-loop recursion.
fn descend(gradient: &[f64], pairs: &[Pair]) -> Vec<f64> {
    let mut direction: Vec<f64> = gradient.iter().map(|g| -g).collect();
    let mut weights = Vec::with_capacity(pairs.len());
    for pair in pairs.iter().rev() {
        let weight = pair.scale * dot(&pair.step, &direction);
        add(&mut direction, -weight, &pair.change);
        weights.push(weight);
    }
    if let Some(last) = pairs.last() {
        let factor = 1.0 / (last.scale * dot(&last.change, &last.change));
        direction.iter_mut().for_each(|d| *d *= factor);
    }
    for (pair, weight) in pairs.iter().zip(weights.into_iter().rev()) {
        let correction = weight - pair.scale * dot(&pair.change, &direction);
        add(&mut direction, correction, &pair.step);
    }
    direction
}

/// The first point along `direction` that is lower by Armijo's rule, with value and gradient.
fn search(
    function: &impl Fn(&[f64]) -> (f64, Vec<f64>),
    point: &[f64],
    (value, gradient): (f64, &[f64]),
    direction: &[f64],
    first: f64,
) -> Option<(Vec<f64>, f64, Vec<f64>)> {
    let slope = dot(direction, gradient);
    let mut length = first;
    for _ in 0..40 {
        let mut next = point.to_vec();
        add(&mut next, length, direction);
        let (next_value, next_gradient) = function(&next);
        if next_value <= value + 1e-4 * length * slope {
            return Some((next, next_value, next_gradient));
        }
        length *= 0.5;
    }
    None
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn norm(a: &[f64]) -> f64 {
    dot(a, a).sqrt()
}

fn minus(a: &[f64], b: &[f64]) -> Vec<f64> {
    a.iter().zip(b).map(|(a, b)| a - b).collect()
}

fn add(a: &mut [f64], factor: f64, b: &[f64]) {
    a.iter_mut().zip(b).for_each(|(a, b)| *a += factor * b);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quadratic_of_uneven_curvature_is_solved() {
        let curvatures = [1.0, 100.0, 0.01, 7.0];
        let minimum = [3.0, -2.0, 40.0, 0.0];
        let function = |x: &[f64]| {
            let terms = || x.iter().zip(curvatures).zip(minimum);
            let value = terms().map(|((x, c), m)| 0.5 * c * (x - m) * (x - m)).sum();
            (value, terms().map(|((x, c), m)| c * (x - m)).collect())
        };
        let found = minimize(vec![0.0; 4], function);
        for (found, expected) in found.iter().zip(minimum) {
            assert!((found - expected).abs() < 1.0, "{found}, not {expected}");
        }
        assert_eq!(minimize(minimum.to_vec(), function), minimum);
    }

    #[test]
    fn a_point_is_never_worse_than_the_start_and_nan_ends_the_search() {
        // Rosenbrock's valley, which is not convex.
        let valley = |x: &[f64]| {
            let (a, b) = (1.0 - x[0], x[1] - x[0] * x[0]);
            let value = a * a + 100.0 * b * b;
            (value, vec![-2.0 * a - 400.0 * b * x[0], 200.0 * b])
        };
        let found = minimize(vec![-1.2, 1.0], valley);
        assert!(valley(&found).0 < 0.1, "{found:?}");
        // Not a number beyond 1, where the minimum would be.
        let edge = |x: &[f64]| match x[0] < 1.0 {
            true => ((x[0] - 2.0).powi(2), vec![2.0 * (x[0] - 2.0)]),
            false => (f64::NAN, vec![f64::NAN]),
        };
        let found = minimize(vec![0.0], edge);
        assert!(found[0] > 0.9 && found[0] < 1.0, "{found:?}");
    }
}
