use crate::Gradients;
use candle_core::{CpuStorage, Device, InplaceOp1, Layout, Tensor};
use rtune_kernels::cpu;
use rtune_nn::{NnError, Param, ParamGroup, ParamRole, Result, TensorRef};
use std::collections::BTreeMap;
use std::sync::Mutex;

const FIRST: &str = "first.";
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
    /// Share of a weight that is taken off per unit of learning rate.
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

/// Adam with decoupled weight decay (Loshchilov and Hutter, 2017). Biases, normalizations and
/// cutpoints do not decay; parameters of the head have a learning rate of their own.
#[derive(Debug)]
pub struct AdamW {
    config: AdamWConfig,
    step: i32,
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
    /// An optimizer without state yet.
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

    /// Goes on from the moments of a checkpoint after `step` updates.
    ///
    /// # Errors
    /// Where a moment of a parameter is missing or has another size.
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
        self.step = i32::try_from(step).unwrap_or(i32::MAX);
        Ok(())
    }

    /// True if weight decay applies to parameters of this role.
    pub fn decays(role: ParamRole) -> bool {
        match role {
            ParamRole::Weight | ParamRole::Embedding => true,
            ParamRole::Bias | ParamRole::Norm | ParamRole::Cutpoints => false,
        }
    }

    /// Updates each parameter in place; gradients are first multiplied by `clip`.
    ///
    /// # Errors
    /// Where a tensor operation fails.
    pub fn step(
        &mut self,
        params: &[&Param],
        gradients: &Gradients,
        rate: f64,
        head_rate: f64,
        clip: f64,
    ) -> Result<()> {
        self.step += 1;
        let AdamWConfig {
            beta1,
            beta2,
            epsilon,
            weight_decay,
        } = self.config;
        for param in params {
            let Some(gradient) = gradients.get(param.name()) else {
                continue;
            };
            let rate = match param.group() {
                ParamGroup::Head => head_rate,
                ParamGroup::Embeddings | ParamGroup::Layer(_) => rate,
            };
            let decay = if Self::decays(param.role()) {
                weight_decay
            } else {
                0.0
            };
            let update = cpu::AdamW {
                beta1,
                beta2,
                epsilon,
                rate: rate / (1.0 - beta1.powi(self.step)),
                correction: 1.0 - beta2.powi(self.step),
                keep: 1.0 - rate * decay,
                clip,
            };
            if !self.moments.contains_key(param.name()) {
                self.moments
                    .insert(param.name().to_owned(), Moments::zeros(param.value())?);
            }
            match self.moments.get_mut(param.name()) {
                Some(Moments::Host { first, second }) => {
                    let gradient = &gradient.elements()?;
                    let moments = Mutex::new((first.as_mut_slice(), second.as_mut_slice()));
                    param.value().inplace_op1(&HostUpdate {
                        update,
                        gradient,
                        moments,
                    })?;
                }
                Some(Moments::Device { first, second }) => {
                    update_on_device(&update, param.value(), gradient.tensor()?, first, second)?
                }
                None => {}
            }
        }
        Ok(())
    }
}

/// Updates a parameter on any device with tensor operations.
fn update_on_device(
    update: &cpu::AdamW,
    value: &Tensor,
    gradient: &Tensor,
    first: &mut Tensor,
    second: &mut Tensor,
) -> Result<()> {
    let gradient = (gradient * update.clip)?;
    *first = ((&*first * update.beta1)? + (&gradient * (1.0 - update.beta1))?)?;
    *second = ((&*second * update.beta2)? + (gradient.sqr()? * (1.0 - update.beta2))?)?;
    let root = ((&*second / update.correction)?.sqrt()? + update.epsilon)?;
    let updated = ((value * update.keep)? - (first.div(&root)? * update.rate)?)?;
    Ok(value.slice_set(&updated.contiguous()?, 0, 0)?)
}

/// One pass over a parameter, its gradient and its moments in memory.
struct HostUpdate<'a> {
    update: cpu::AdamW,
    gradient: &'a [f32],
    moments: Mutex<(&'a mut [f32], &'a mut [f32])>,
}

impl InplaceOp1 for HostUpdate<'_> {
    fn name(&self) -> &'static str {
        "adamw"
    }

    fn cpu_fwd(&self, value: &mut CpuStorage, layout: &Layout) -> candle_core::Result<()> {
        let (CpuStorage::F32(value), Some((start, end))) = (value, layout.contiguous_offsets())
        else {
            candle_core::bail!("adamw updates contiguous f32 parameters only");
        };
        let Ok(mut moments) = self.moments.lock() else {
            candle_core::bail!("adamw: an earlier update of this parameter failed")
        };
        let (first, second) = &mut *moments;
        cpu::adamw(
            &self.update,
            &mut value[start..end],
            self.gradient,
            first,
            second,
        )
        .map_err(candle_core::Error::wrap)
    }
}

/// The norm over all gradients, and the factor that brings it down to `max_norm` where it exceeds
/// it.
///
/// # Errors
/// Where a tensor operation fails.
pub fn clip_global_norm(gradients: &Gradients, max_norm: f64) -> Result<(f64, f64)> {
    let mut sum = 0.0_f64;
    for gradient in gradients.values() {
        sum += gradient.square_sum()?;
    }
    let norm = sum.sqrt();
    // The small addend is PyTorch's, so that both clip alike.
    let factor = if max_norm > 0.0 {
        (max_norm / (norm + 1e-6)).min(1.0)
    } else {
        1.0
    };
    Ok((norm, factor))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // Tests.
mod tests {
    use super::*;
    use crate::Array;

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
            .step(&[&param, &bias], &gradients, 0.1, 0.1, 1.0)
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
            optimizer
                .step(&[&param], &gradients, 1.0, 2.0, 1.0)
                .unwrap();
            assert_eq!(
                param.value().to_vec1::<f32>().unwrap(),
                [expected],
                "{name}"
            );
        }
    }

    #[test]
    fn clips_to_the_norm() {
        let gradients = BTreeMap::from([("a".to_owned(), array(&[3.0, 4.0]))]);
        let (norm, factor) = clip_global_norm(&gradients, 1.0).unwrap();
        assert!((norm - 5.0).abs() < 1e-9 && (factor - 0.2).abs() < 1e-6);
        assert_eq!(clip_global_norm(&gradients, 10.0).unwrap().1, 1.0);
    }
}
