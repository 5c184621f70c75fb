use super::{LearningRates, Update, decays, update};
use crate::{Array, Gradients};
use candle_core::{Device, Tensor};
use rtune_kernels::cpu;
use rtune_nn::{NnError, Param, Result, TensorRef};
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

/// Name prefix of first moments in a checkpoint.
const FIRST: &str = "first.";
/// Name prefix of second moments in a checkpoint.
const SECOND: &str = "second.";

/// The settings of [`AdamW`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AdamWConfig {
    /// Decay of the first moment.
    pub beta1: f64,
    /// Decay of the second moment.
    pub beta2: f64,
    /// Added to the root of the second moment.
    pub epsilon: f64,
    /// The share of a weight that is subtracted per unit of learning rate.
    pub weight_decay: f64,
}

impl Default for AdamWConfig {
    fn default() -> Self {
        Self {
            beta1: 0.9,
            beta2: 0.999,
            epsilon: 1e-8,
            weight_decay: 0.01,
        }
    }
}

/// Adam with decoupled weight decay (Loshchilov and Hutter, 2017). The role of a parameter decides
/// its decay ([`decays`]), its group and role the learning rate ([`LearningRates`]).
#[derive(Debug)]
pub struct AdamW {
    config: AdamWConfig,
    step: usize,
    moments: BTreeMap<String, Moments>,
}

#[derive(Debug)]
enum Moments {
    Host { first: Vec<f32>, second: Vec<f32> },
    Device { first: Tensor, second: Tensor },
}

impl Moments {
    fn zeros(like: &Tensor) -> Result<Self> {
        Ok(match like.device() {
            Device::Cpu => Self::Host {
                first: vec![0.0; like.elem_count()],
                second: vec![0.0; like.elem_count()],
            },
            _ => Self::Device {
                first: like.zeros_like()?,
                second: like.zeros_like()?,
            },
        })
    }
}

impl AdamW {
    /// Creates an optimizer without state.
    pub fn new(config: AdamWConfig) -> Self {
        Self {
            config,
            step: 0,
            moments: BTreeMap::new(),
        }
    }

    /// The moments by name, for a checkpoint: `first.` and `second.` before the parameter's name.
    pub fn moments(&self) -> Vec<(String, TensorRef<'_>)> {
        let pairs = self.moments.iter().map(|(name, moments)| match moments {
            Moments::Host { first, second } => {
                (name, TensorRef::Slice(first), TensorRef::Slice(second))
            }
            Moments::Device { first, second } => {
                (name, TensorRef::Tensor(first), TensorRef::Tensor(second))
            }
        });
        pairs
            .flat_map(|(name, m, v)| {
                [
                    (format!("{FIRST}{name}"), m),
                    (format!("{SECOND}{name}"), v),
                ]
            })
            .collect()
    }

    /// Restores the moments of a checkpoint after `step` updates.
    ///
    /// # Errors
    /// If a moment of a parameter is missing or has another size.
    pub fn restore(
        &mut self,
        step: usize,
        params: &[&Param],
        mut moments: BTreeMap<String, Tensor>,
    ) -> Result<()> {
        let mut take = |name: String, like: &Tensor| {
            let fitting = moments
                .remove(&name)
                .filter(|moment| moment.elem_count() == like.elem_count());
            fitting.ok_or_else(|| {
                NnError::config(name, "is missing, or has another size than its parameter")
            })
        };
        for param in params {
            let like = param.value();
            let first = take(format!("{FIRST}{}", param.name()), like)?;
            let second = take(format!("{SECOND}{}", param.name()), like)?;
            let restored = match like.device() {
                Device::Cpu => Moments::Host {
                    first: first.flatten_all()?.to_vec1()?,
                    second: second.flatten_all()?.to_vec1()?,
                },
                device => Moments::Device {
                    first: first.to_device(device)?.reshape(like.shape())?,
                    second: second.to_device(device)?.reshape(like.shape())?,
                },
            };
            self.moments.insert(param.name().to_owned(), restored);
        }
        self.step = step;
        Ok(())
    }

    /// Updates each parameter in place; gradients are first multiplied by `clip`.
    ///
    /// # Errors
    /// If a tensor operation fails.
    pub fn step(
        &mut self,
        params: &[&Param],
        gradients: &Gradients,
        rates: LearningRates,
        clip: f64,
    ) -> Result<()> {
        self.step += 1;
        let AdamWConfig {
            beta1,
            beta2,
            epsilon,
            weight_decay,
        } = self.config;
        let (correction1, correction2) =
            (1.0 - power(beta1, self.step), 1.0 - power(beta2, self.step));
        let mut on_device = Vec::new();
        for param in params {
            let Some(gradient) = gradients.get(param.name()) else {
                continue;
            };
            let rate = rates.of(param.group(), param.role());
            let decay = if decays(param.role()) {
                weight_decay
            } else {
                0.0
            };
            let coefficients = cpu::AdamW {
                beta1,
                beta2,
                epsilon,
                rate: rate / correction1,
                correction: correction2,
                keep: 1.0 - rate * decay,
                clip,
            };
            let moments = match self.moments.entry(param.name().to_owned()) {
                Entry::Occupied(moments) => moments.into_mut(),
                Entry::Vacant(vacant) => vacant.insert(Moments::zeros(param.value())?),
            };
            match moments {
                Moments::Host { first, second } => {
                    let gradient = gradient.elements()?;
                    update::on_host(coefficients, param.value(), &gradient, first, second)?;
                }
                Moments::Device { .. } => on_device.push((coefficients, *param, gradient)),
            }
        }
        self.on_device(on_device)
    }
}

impl AdamW {
    /// Updates parameters on a device together, so that it is asked once.
    fn on_device(&self, updates: Vec<(cpu::AdamW, &Param, &Array)>) -> Result<()> {
        let mut all = Vec::with_capacity(updates.len());
        for (coefficients, param, gradient) in updates {
            if let Some(Moments::Device { first, second }) = self.moments.get(param.name()) {
                all.push(Update {
                    coefficients,
                    value: param.value(),
                    gradient: gradient.tensor()?,
                    first,
                    second,
                });
            }
        }
        update::on_device(&all)
    }
}

/// `base` to the power `step`, for any number of steps.
fn power(base: f64, step: usize) -> f64 {
    match i32::try_from(step) {
        Ok(step) => base.powi(step),
        Err(_) => base.powf(step as f64),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rtune_nn::{ParamGroup, ParamRole};

    const RATES: LearningRates = LearningRates {
        encoder: 0.1,
        head: 0.1,
        cutpoints: 0.1,
    };

    fn array(values: &[f32]) -> Array {
        Tensor::new(values, &Device::Cpu).unwrap().into()
    }

    #[test]
    fn first_steps_match_a_hand_computed_table() {
        let param = Param::new(
            "layer.weight",
            Tensor::new(&[1.0_f32, -2.0], &Device::Cpu).unwrap(),
        );
        let bias = Param::new("layer.bias", Tensor::new(&[1.0_f32], &Device::Cpu).unwrap())
            .with_role(ParamRole::Bias);
        let gradients: Gradients = BTreeMap::from([
            ("layer.weight".to_owned(), array(&[0.5, 0.1])),
            ("layer.bias".to_owned(), array(&[-3.0])),
        ]);
        let mut optimizer = AdamW::new(AdamWConfig {
            weight_decay: 0.1,
            ..AdamWConfig::default()
        });
        optimizer
            .step(&[&param, &bias], &gradients, RATES, 1.0)
            .unwrap();
        // On the first step m/√v is the gradient's sign: w − 0.1·0.1·w − 0.1·sign(g).
        let found = param.value().to_vec1::<f32>().unwrap();
        assert!(
            (found[0] - 0.89).abs() < 1e-6 && (found[1] + 2.08).abs() < 1e-6,
            "{found:?}"
        );
        assert!((bias.value().to_vec1::<f32>().unwrap()[0] - 1.1).abs() < 1e-6);
    }

    /// With a gradient of zero a step changes a parameter by its decay alone, which is the learning
    /// rate of its group times the weight decay.
    #[test]
    fn role_decides_decay_and_group_the_rate() {
        let rates = LearningRates {
            encoder: 1.0,
            head: 2.0,
            cutpoints: 3.0,
        };
        let (layer, head) = (ParamGroup::Layer(0), ParamGroup::Head);
        let cases = [
            ("layers.0.attn_norm.weight", ParamRole::Norm, layer, 1.0),
            ("layers.0.sa_layer_norm.bias", ParamRole::Norm, layer, 1.0),
            ("norm.weight", ParamRole::Norm, layer, 1.0),
            ("layers.0.q_bias", ParamRole::Bias, layer, 1.0),
            ("layers.0.Wqkv.weight", ParamRole::Weight, layer, 0.9),
            (
                "embed_tokens.weight",
                ParamRole::Embedding,
                ParamGroup::Embeddings,
                0.9,
            ),
            ("LayerNorm_projection.weight", ParamRole::Weight, layer, 0.9),
            ("classifier.weight", ParamRole::Weight, head, 0.8),
            ("head.cutpoints", ParamRole::Cutpoints, head, 1.0),
        ];
        for (name, role, group, expected) in cases {
            let value = Tensor::new(&[1.0_f32], &Device::Cpu).unwrap();
            let param = Param::new(name, value).with_role(role).with_group(group);
            let gradients = BTreeMap::from([(name.to_owned(), array(&[0.0]))]);
            let mut optimizer = AdamW::new(AdamWConfig {
                weight_decay: 0.1,
                ..AdamWConfig::default()
            });
            optimizer.step(&[&param], &gradients, rates, 1.0).unwrap();
            assert_eq!(
                param.value().to_vec1::<f32>().unwrap(),
                [expected],
                "{name}"
            );
        }
    }

    #[test]
    fn bias_corrections_are_exact_beyond_the_range_of_i32() {
        let step = 1_usize << 33;
        let base = 1.0 - 1e-10;
        // (1 − x)ⁿ = exp(n·ln(1 − x)).
        let expected = (step as f64 * (-1e-10_f64).ln_1p()).exp();
        assert!(
            (power(base, step) - expected).abs() < 1e-6,
            "{}",
            power(base, step)
        );
        assert_eq!(power(0.9, 3), 0.9_f64.powi(3));
    }

    #[test]
    fn restored_moments_continue_the_same_updates() {
        let tensor = |values: &[f32]| Tensor::new(values, &Device::Cpu).unwrap();
        let gradients = |value: f32| BTreeMap::from([("w".to_owned(), array(&[value, 0.25]))]);
        let param = Param::new("w", tensor(&[1.0, -1.0]));
        let mut optimizer = AdamW::new(AdamWConfig::default());
        optimizer
            .step(&[&param], &gradients(1.0), RATES, 1.0)
            .unwrap();
        let copy = Param::new("w", param.value().copy().unwrap());
        let moments = optimizer.moments().into_iter().map(|(name, moment)| {
            let TensorRef::Slice(values) = moment else {
                panic!("{name} is not in host memory")
            };
            (name, tensor(values))
        });
        let moments: BTreeMap<String, Tensor> = moments.collect();
        let mut restored = AdamW::new(AdamWConfig::default());
        restored.restore(1, &[&copy], moments.clone()).unwrap();
        optimizer
            .step(&[&param], &gradients(-2.0), RATES, 1.0)
            .unwrap();
        restored
            .step(&[&copy], &gradients(-2.0), RATES, 1.0)
            .unwrap();
        let values = |param: &Param| param.value().to_vec1::<f32>().unwrap();
        assert_eq!(values(&copy), values(&param));

        let other = Param::new("w", tensor(&[1.0]));
        let error = restored.restore(1, &[&other], moments).unwrap_err();
        assert!(error.to_string().contains("first.w"), "{error}");
    }
}
