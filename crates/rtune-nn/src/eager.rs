use crate::{AttentionSpec, Extent, NnError, Ops, Param, Result, Scopes, TokenSequences};
use candle_core::{D, Tensor};
use std::cell::RefCell;

/// Computes with candle, without gradients: the reference that exported models are compared with.
#[derive(Debug, Default)]
pub struct Eager {
    scopes: Option<Scopes>,
    trace: RefCell<Vec<(String, Tensor)>>,
}

impl Eager {
    /// An interpreter that only computes.
    pub fn new() -> Self {
        Self::default()
    }

    /// An interpreter that also keeps every result under its name; see [`Eager::into_trace`].
    pub fn traced() -> Self {
        Self {
            scopes: Some(Scopes::default()),
            trace: RefCell::default(),
        }
    }

    /// The results in the order in which they came about, each under the name that the recorder
    /// gives it in a graph.
    pub fn into_trace(self) -> Vec<(String, Tensor)> {
        self.trace.into_inner()
    }

    fn note(&self, operation: &str, value: Tensor) -> Result<Tensor> {
        if let Some(scopes) = &self.scopes {
            self.trace
                .borrow_mut()
                .push((scopes.next(operation), value.clone()));
        }
        Ok(value)
    }

    fn note_module(&self, param: &Param, value: Tensor) -> Result<Tensor> {
        if let Some(scopes) = &self.scopes {
            self.trace
                .borrow_mut()
                .push((scopes.unique(param.module().to_owned()), value.clone()));
        }
        Ok(value)
    }
}

/// The sizes that a list of extents gives for an input of shape `dims`.
pub(crate) fn resolve(dims: &[usize], shape: &[Extent]) -> Result<Vec<usize>> {
    let total: usize = dims.iter().product();
    let mut sizes = Vec::with_capacity(shape.len());
    for (index, extent) in shape.iter().enumerate() {
        sizes.push(match extent {
            Extent::Exact(size) => *size,
            Extent::Infer => 0,
            Extent::Keep => *dims.get(index).ok_or_else(|| {
                NnError::Interpreter(format!(
                    "reshape keeps dimension {index} of a tensor of shape {dims:?}"
                ))
            })?,
        });
    }
    if let Some(index) = shape.iter().position(|extent| *extent == Extent::Infer) {
        let rest: usize = sizes
            .iter()
            .enumerate()
            .filter(|(i, _)| *i != index)
            .map(|(_, size)| size)
            .product();
        sizes[index] = total / rest.max(1);
    }
    Ok(sizes)
}

impl Eager {
    /// [`Ops::reshape`] on candle tensors, which other interpreters of this workspace share.
    ///
    /// # Errors
    /// Where the elements do not fit the shape.
    pub fn reshape_tensor(x: &Tensor, shape: &[Extent]) -> Result<Tensor> {
        Ok(x.reshape(resolve(x.dims(), shape)?)?)
    }

    /// [`Ops::gather`] on candle tensors.
    ///
    /// # Errors
    /// Where an id is outside the table.
    pub fn gather_tensor(table: &Tensor, ids: &Tensor) -> Result<Tensor> {
        let mut dims = ids.dims().to_vec();
        dims.push(table.dim(1)?);
        Ok(table.index_select(&ids.flatten_all()?, 0)?.reshape(dims)?)
    }

    /// [`Ops::linear`] on candle tensors: one matrix product over all rows.
    ///
    /// # Errors
    /// Where the shapes do not fit.
    pub fn linear_tensor(x: &Tensor, weight: &Tensor, bias: Option<&Tensor>) -> Result<Tensor> {
        let (outputs, inputs) = weight.dims2()?;
        let mut dims = x.dims().to_vec();
        if let Some(last) = dims.last_mut() {
            *last = outputs;
        }
        let rows = x.elem_count() / inputs.max(1);
        let product = x.reshape((rows, inputs))?.matmul(&weight.t()?)?;
        let product = match bias {
            Some(bias) => product.broadcast_add(bias)?,
            None => product,
        };
        Ok(product.reshape(dims)?)
    }
}

impl Ops for Eager {
    type Value = Tensor;
    type Sequences = TokenSequences;

    fn param(&self, param: &Param) -> Result<Tensor> {
        Ok(param.value().clone())
    }
    fn add(&self, a: &Tensor, b: &Tensor) -> Result<Tensor> {
        self.note("add", a.broadcast_add(b)?)
    }
    fn sub(&self, a: &Tensor, b: &Tensor) -> Result<Tensor> {
        self.note("sub", a.broadcast_sub(b)?)
    }
    fn mul(&self, a: &Tensor, b: &Tensor) -> Result<Tensor> {
        self.note("mul", a.broadcast_mul(b)?)
    }
    fn div(&self, a: &Tensor, b: &Tensor) -> Result<Tensor> {
        self.note("div", a.broadcast_div(b)?)
    }
    fn affine(&self, x: &Tensor, multiply: f64, add: f64) -> Result<Tensor> {
        self.note("affine", x.affine(multiply, add)?)
    }
    fn matmul(&self, a: &Tensor, b: &Tensor) -> Result<Tensor> {
        self.note("matmul", a.broadcast_matmul(b)?)
    }
    fn transpose(&self, x: &Tensor, order: &[usize]) -> Result<Tensor> {
        self.note("transpose", x.permute(order)?.contiguous()?)
    }
    fn reshape(&self, x: &Tensor, shape: &[Extent]) -> Result<Tensor> {
        self.note("reshape", Self::reshape_tensor(x, shape)?)
    }
    fn exp(&self, x: &Tensor) -> Result<Tensor> {
        self.note("exp", x.exp()?)
    }
    fn sqrt(&self, x: &Tensor) -> Result<Tensor> {
        self.note("sqrt", x.sqrt()?)
    }
    fn erf(&self, x: &Tensor) -> Result<Tensor> {
        self.note("erf", x.erf()?)
    }
    fn tanh(&self, x: &Tensor) -> Result<Tensor> {
        self.note("tanh", x.tanh()?)
    }
    fn relu(&self, x: &Tensor) -> Result<Tensor> {
        self.note("relu", x.relu()?)
    }
    fn sum_last(&self, x: &Tensor) -> Result<Tensor> {
        self.note("sum", x.sum_keepdim(D::Minus1)?)
    }
    fn mean_last(&self, x: &Tensor) -> Result<Tensor> {
        self.note("mean", x.mean_keepdim(D::Minus1)?)
    }
    fn max_last(&self, x: &Tensor) -> Result<Tensor> {
        self.note("max", x.max_keepdim(D::Minus1)?)
    }
    fn gather(&self, table: &Tensor, ids: &Tensor) -> Result<Tensor> {
        self.note("gather", Self::gather_tensor(table, ids)?)
    }
    fn position_ids(&self, sequences: &TokenSequences) -> Result<Tensor> {
        Ok(sequences.positions().clone())
    }
    fn mask_bias(&self, sequences: &TokenSequences) -> Result<Tensor> {
        Ok(sequences.mask_bias().clone())
    }
    fn split_heads(
        &self,
        x: &Tensor,
        spec: &AttentionSpec,
        sequences: &TokenSequences,
    ) -> Result<Tensor> {
        self.note("split_heads", sequences.split_heads(x, spec)?)
    }
    fn merge_heads(
        &self,
        x: &Tensor,
        spec: &AttentionSpec,
        sequences: &TokenSequences,
    ) -> Result<Tensor> {
        self.note("merge_heads", sequences.merge_heads(x, spec)?)
    }
    fn mean_pool(&self, hidden: &Tensor, sequences: &TokenSequences) -> Result<Tensor> {
        self.note("mean_pool", sequences.mean_pool(hidden)?)
    }
    fn first_pool(&self, hidden: &Tensor, sequences: &TokenSequences) -> Result<Tensor> {
        self.note("first_pool", sequences.first_pool(hidden)?)
    }
    fn enter(&self, path: &str) -> String {
        self.scopes
            .as_ref()
            .map(|s| s.enter(path))
            .unwrap_or_default()
    }
    fn leave(&self, previous: String) {
        if let Some(scopes) = &self.scopes {
            scopes.leave(previous);
        }
    }
    fn linear(&self, x: &Tensor, weight: &Param, bias: Option<&Param>) -> Result<Tensor> {
        self.note_module(
            weight,
            Self::linear_tensor(x, weight.value(), bias.map(Param::value))?,
        )
    }
    fn layer_norm(&self, x: &Tensor, weight: &Param, bias: &Param, epsilon: f64) -> Result<Tensor> {
        #[allow(clippy::cast_possible_truncation)] // candle takes the epsilon in single precision.
        let epsilon = epsilon as f32;
        self.note_module(
            weight,
            candle_nn::ops::layer_norm(&x.contiguous()?, weight.value(), bias.value(), epsilon)?,
        )
    }
    fn gelu(&self, x: &Tensor) -> Result<Tensor> {
        self.note("gelu", x.gelu_erf()?)
    }
    fn softmax(&self, x: &Tensor) -> Result<Tensor> {
        self.note(
            "softmax",
            candle_nn::ops::softmax_last_dim(&x.contiguous()?)?,
        )
    }
    fn embedding(&self, ids: &Tensor, table: &Param) -> Result<Tensor> {
        self.note_module(table, Self::gather_tensor(table.value(), ids)?)
    }
}
