use crate::Result;
use candle_core::{Shape, Tensor};
use candle_nn::{Init, VarBuilder};
use std::sync::Arc;

/// The role of a parameter in its layer, on which weight decay depends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ParamRole {
    /// The weight of a linear layer or a convolution.
    Weight,
    /// An additive bias of a linear layer or a convolution.
    Bias,
    /// The weight or the bias of a normalization.
    Norm,
    /// A table with one row per id.
    Embedding,
    /// The cutpoints of an ordinal head.
    Cutpoints,
}

/// The position of a parameter in its model, on which learning rates and freezing depend.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ParamGroup {
    /// The embeddings of an encoder, with their normalization.
    Embeddings,
    /// An encoder layer, counted from 0 at the embeddings. Modules above the last layer, such as
    /// BERT's pooler, have the number after it.
    Layer(usize),
    /// The task head, and any module outside an encoder.
    Head,
}

/// A trainable tensor, its dotted name in the checkpoint, its role and its group.
///
/// ```
/// use candle_core::{DType, Device, Tensor};
/// use rtune_nn::{Param, ParamGroup, ParamRole};
///
/// # fn main() -> candle_core::Result<()> {
/// let zeros = Tensor::zeros(3, DType::F32, &Device::Cpu)?;
/// let bias = Param::new("layers.0.attn_norm.bias", zeros).with_role(ParamRole::Norm);
/// assert_eq!((bias.module(), bias.group()), ("layers.0.attn_norm", ParamGroup::Head));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Param {
    name: Arc<str>,
    value: Tensor,
    role: ParamRole,
    group: ParamGroup,
}

impl Param {
    /// A parameter named `name`, such as `encoder.layer.0.output.dense.weight`, with the role
    /// [`ParamRole::Weight`] and the group [`ParamGroup::Head`]. Layers set the role of the
    /// parameters that they create, encoders the group of their layers' parameters.
    pub fn new(name: impl Into<Arc<str>>, value: Tensor) -> Self {
        Self {
            name: name.into(),
            value,
            role: ParamRole::Weight,
            group: ParamGroup::Head,
        }
    }

    /// The parameter `name` of the module that `vb` stands at. `init` is its initial value where
    /// the source of `vb` has none.
    ///
    /// # Errors
    /// If the source of `vb` has no such tensor, or one of another shape. A
    /// [`WeightLoader`](crate::WeightLoader) reports both when it finishes.
    pub fn load(
        vb: &VarBuilder<'_>,
        name: &str,
        shape: impl Into<Shape>,
        role: ParamRole,
        init: Init,
    ) -> Result<Self> {
        let value = vb.get_with_hints(shape, name, init)?;
        let path = match vb.prefix() {
            prefix if prefix.is_empty() => name.to_owned(),
            prefix => format!("{prefix}.{name}"),
        };
        Ok(Self::new(path, value).with_role(role))
    }

    /// The same parameter with another role.
    pub fn with_role(self, role: ParamRole) -> Self {
        Self { role, ..self }
    }

    /// The same parameter in another group.
    pub fn with_group(self, group: ParamGroup) -> Self {
        Self { group, ..self }
    }

    /// The name in the checkpoint.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The path of the module that owns the parameter: the name without its last part.
    pub fn module(&self) -> &str {
        self.name
            .rsplit_once('.')
            .map_or(&self.name, |(module, _)| module)
    }

    /// The tensor. An optimizer changes it in place; every clone of the tensor sees the change.
    pub fn value(&self) -> &Tensor {
        &self.value
    }

    /// The role in the layer.
    pub fn role(&self) -> ParamRole {
        self.role
    }

    /// The position in the model.
    pub fn group(&self) -> ParamGroup {
        self.group
    }
}

/// A module that owns parameters.
///
/// [`parameters!`](crate::parameters) implements it from a list of fields.
pub trait Parameters {
    /// Calls `visit` with each parameter, in a fixed order.
    fn visit<'a>(&'a self, visit: &mut dyn FnMut(&'a Param));

    /// Calls `visit` with each parameter, in the same order.
    fn visit_mut(&mut self, visit: &mut dyn FnMut(&mut Param));

    /// All parameters, in a fixed order.
    fn params(&self) -> Vec<&Param> {
        let mut params = Vec::new();
        self.visit(&mut |param| params.push(param));
        params
    }

    /// The module with all of its parameters in one group.
    fn with_group(mut self, group: ParamGroup) -> Self
    where
        Self: Sized,
    {
        self.visit_mut(&mut |param| param.group = group);
        self
    }
}

impl Parameters for Param {
    fn visit<'a>(&'a self, visit: &mut dyn FnMut(&'a Param)) {
        visit(self);
    }

    fn visit_mut(&mut self, visit: &mut dyn FnMut(&mut Param)) {
        visit(self);
    }
}

impl<P: Parameters> Parameters for Option<P> {
    fn visit<'a>(&'a self, visit: &mut dyn FnMut(&'a Param)) {
        self.iter().for_each(|part| part.visit(visit));
    }

    fn visit_mut(&mut self, visit: &mut dyn FnMut(&mut Param)) {
        self.iter_mut().for_each(|part| part.visit_mut(visit));
    }
}

impl<P: Parameters> Parameters for Vec<P> {
    fn visit<'a>(&'a self, visit: &mut dyn FnMut(&'a Param)) {
        self.iter().for_each(|part| part.visit(visit));
    }

    fn visit_mut(&mut self, visit: &mut dyn FnMut(&mut Param)) {
        self.iter_mut().for_each(|part| part.visit_mut(visit));
    }
}

/// Implements [`Parameters`](crate::Parameters) for a module as the parameters of the listed
/// fields, in the order of the list.
///
/// ```
/// use rtune_nn::{Linear, Parameters, parameters};
///
/// struct Mlp {
///     hidden: Linear,
///     output: Linear,
/// }
/// parameters!(Mlp: hidden, output);
/// ```
#[macro_export]
macro_rules! parameters {
    ($module:ty: $($field:ident),+ $(,)?) => {
        impl $crate::Parameters for $module {
            fn visit<'a>(&'a self, visit: &mut dyn FnMut(&'a $crate::Param)) {
                $($crate::Parameters::visit(&self.$field, visit);)+
            }

            fn visit_mut(&mut self, visit: &mut dyn FnMut(&mut $crate::Param)) {
                $($crate::Parameters::visit_mut(&mut self.$field, visit);)+
            }
        }
    };
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::{DType, Device};

    fn param(name: &str) -> Param {
        let zero = Tensor::zeros(1, DType::F32, &Device::Cpu);
        Param::new(name, zero.expect("a tensor of one element"))
    }

    struct Pair {
        first: Param,
        rest: Option<Vec<Param>>,
    }
    parameters!(Pair: first, rest);

    #[test]
    fn module_is_the_name_without_its_last_part() {
        let cases = [
            (
                "encoder.layer.0.output.dense.weight",
                "encoder.layer.0.output.dense",
            ),
            ("weight", "weight"),
        ];
        for (name, module) in cases {
            assert_eq!(param(name).module(), module);
        }
    }

    #[test]
    fn a_group_reaches_every_parameter_and_leaves_roles() {
        let pair = Pair {
            first: param("a").with_role(ParamRole::Norm),
            rest: Some(vec![param("b"), param("c").with_role(ParamRole::Bias)]),
        };
        let pair = pair.with_group(ParamGroup::Layer(3));
        let found: Vec<_> = pair
            .params()
            .iter()
            .map(|p| (p.name(), p.role(), p.group()))
            .collect();
        let group = ParamGroup::Layer(3);
        assert_eq!(
            found,
            [
                ("a", ParamRole::Norm, group),
                ("b", ParamRole::Weight, group),
                ("c", ParamRole::Bias, group)
            ]
        );
    }
}
