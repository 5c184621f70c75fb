use candle_core::Shape;
use candle_nn::Init;
use candle_nn::init::NormalOrUniform;
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

/// Draws initial values; the same seed gives the same values on every machine.
#[derive(Debug)]
pub(crate) struct Initializer {
    random: ChaCha8Rng,
}

impl Initializer {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            random: ChaCha8Rng::seed_from_u64(seed),
        }
    }

    /// The elements of a tensor of this shape, in row-major order.
    pub(crate) fn draw(&mut self, init: Init, shape: &Shape) -> Vec<f32> {
        let count = shape.elem_count();
        match init {
            Init::Const(value) => vec![value as f32; count],
            Init::Randn { mean, stdev } => {
                let (mean, stdev) = (mean as f32, stdev as f32);
                (0..count).map(|_| mean + stdev * self.normal()).collect()
            }
            Init::Uniform { lo, up } => {
                let (low, width) = (lo as f32, (up - lo) as f32);
                (0..count)
                    .map(|_| low + width * self.random.random::<f32>())
                    .collect()
            }
            Init::Kaiming {
                dist,
                fan,
                non_linearity,
            } => {
                let stdev = non_linearity.gain() / (fan.for_shape(shape) as f64).sqrt();
                let bound = 3_f64.sqrt() * stdev;
                let init = match dist {
                    NormalOrUniform::Normal => Init::Randn { mean: 0.0, stdev },
                    NormalOrUniform::Uniform => Init::Uniform {
                        lo: -bound,
                        up: bound,
                    },
                };
                self.draw(init, shape)
            }
        }
    }

    /// One draw from the standard normal distribution (Box and Muller, 1958).
    fn normal(&mut self) -> f32 {
        let radius = (-2.0 * (1.0 - self.random.random::<f32>()).ln()).sqrt();
        radius * (std::f32::consts::TAU * self.random.random::<f32>()).cos()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_nn::init::{DEFAULT_KAIMING_NORMAL, DEFAULT_KAIMING_UNIFORM};

    #[test]
    fn moments_are_those_of_the_distribution() {
        let shape = Shape::from((100, 200));
        // Kaiming: gain √2 of ReLU over √(fan in), here 200.
        let cases = [
            (Init::Const(1.5), 1.5, 0.0),
            (
                Init::Randn {
                    mean: 1.0,
                    stdev: 0.5,
                },
                1.0,
                0.5,
            ),
            (
                Init::Uniform { lo: -1.0, up: 3.0 },
                1.0,
                4.0 / 12_f64.sqrt(),
            ),
            (DEFAULT_KAIMING_NORMAL, 0.0, 0.1),
            (DEFAULT_KAIMING_UNIFORM, 0.0, 0.1),
        ];
        for (init, mean, stdev) in cases {
            let values = Initializer::new(7).draw(init, &shape);
            let count = values.len() as f64;
            let found = values.iter().map(|v| f64::from(*v)).sum::<f64>() / count;
            let squares = values.iter().map(|v| (f64::from(*v) - found).powi(2));
            let deviation = (squares.sum::<f64>() / count).sqrt();
            assert!((found - mean).abs() < 0.03, "{init:?}: mean {found}");
            assert!(
                (deviation - stdev).abs() < 0.03,
                "{init:?}: deviation {deviation}"
            );
        }
    }

    #[test]
    fn a_seed_decides_the_values() {
        let draw = |seed| Initializer::new(seed).draw(DEFAULT_KAIMING_NORMAL, &Shape::from(8));
        assert_eq!(draw(3), draw(3));
        assert_ne!(draw(3), draw(4));
    }
}
