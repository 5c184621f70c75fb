//! Types and shapes of a node's output, with symbolic dimensions.

use crate::dim::Product;
use crate::{Dim, ElementType, Fact, Graph, GraphError, Node, Tensor, ValueId, operator_rule};

/// What is known of a node's output.
pub(crate) struct Known {
    pub(crate) fact: Option<Fact>,
    pub(crate) contents: Option<Vec<Dim>>,
}

impl From<Fact> for Known {
    fn from(fact: Fact) -> Self {
        Self {
            fact: Some(fact),
            contents: None,
        }
    }
}

/// Vectors longer than this are data, not shapes.
const MAX_CONTENTS: usize = 16;

/// The elements of a small integer constant.
pub(crate) fn contents_of(tensor: &Tensor) -> Option<Vec<Dim>> {
    let values = (tensor.dims().len() == 1 && tensor.dims()[0] <= MAX_CONTENTS as u64)
        .then(|| tensor.to_i64())??;
    values
        .into_iter()
        .map(|v| u64::try_from(v).ok().map(Dim::Fixed))
        .collect()
}

struct Context<'a> {
    graph: &'a Graph,
    node: &'a Node,
}

/// Infers the first output of `node` over the values of `graph`.
pub(crate) fn infer(graph: &Graph, node: &Node) -> Result<Known, GraphError> {
    let context = Context { graph, node };
    let Some(rule) = operator_rule(&node.op_type).filter(|_| node.domain.is_empty()) else {
        return Ok(Known {
            fact: None,
            contents: None,
        });
    };
    let inputs = node.inputs.len();
    if !(rule.min_inputs..=rule.max_inputs).contains(&inputs) {
        return Err(context.error(format!(
            "takes {} to {} inputs, found {inputs}",
            rule.min_inputs, rule.max_inputs
        )));
    }
    match node.op_type.as_str() {
        "Add" | "Sub" | "Mul" | "Div" | "Pow" | "Max" | "Min" => context.elementwise(),
        "MatMul" => context.matmul(),
        "Gemm" => context.gemm(),
        "Gather" => context.gather(),
        "Reshape" => context.reshape(),
        "Transpose" => context.transpose(),
        "Shape" => context.shape_of(),
        "Concat" => context.concat(),
        "Slice" => context.slice(),
        "Expand" => context.expand(),
        "Unsqueeze" => context.unsqueeze(),
        "ReduceSum" | "ReduceMean" | "ReduceMax" => context.reduce(),
        "Cast" => context.cast(),
        "QuantizeLinear" => context.quantize(),
        "DequantizeLinear" => context.retyped(ElementType::Float32),
        "Squeeze" => Ok(Fact::unranked(context.fact(0)?.element_type).into()),
        _ => Ok(context.fact(0)?.into()),
    }
}

impl Context<'_> {
    fn error(&self, problem: impl Into<String>) -> GraphError {
        GraphError::new(self.node.label(), problem)
    }

    fn input(&self, index: usize) -> Result<ValueId, GraphError> {
        self.node
            .input(index)
            .ok_or_else(|| self.error(format!("input {index} is missing")))
    }

    fn fact(&self, index: usize) -> Result<Fact, GraphError> {
        let value = self.graph.value(self.input(index)?);
        value
            .fact
            .clone()
            .ok_or_else(|| self.error(format!("the type of input `{}` is not known", value.name)))
    }

    fn shape(&self, index: usize) -> Result<Option<Vec<Dim>>, GraphError> {
        Ok(self.fact(index)?.shape)
    }

    fn constant(&self, index: usize) -> Option<Vec<i64>> {
        self.graph.initializer(self.node.input(index)?)?.to_i64()
    }

    /// The contents of an input: those of a vector that is followed, or a constant's.
    fn contents(&self, index: usize) -> Option<Vec<Dim>> {
        self.graph.value(self.node.input(index)?).contents.clone()
    }

    /// The axes, which older operator sets have as an attribute and newer ones as an input.
    fn axes(&self) -> Option<Vec<i64>> {
        let attribute = self.node.attributes.get("axes").and_then(|a| a.as_ints());
        attribute.map(<[i64]>::to_vec).or_else(|| self.constant(1))
    }

    fn axis(&self, axis: i64, rank: usize) -> Result<usize, GraphError> {
        let rank_signed = i64::try_from(rank).unwrap_or(i64::MAX);
        let positive = if axis < 0 { axis + rank_signed } else { axis };
        usize::try_from(positive)
            .ok()
            .filter(|a| *a < rank)
            .ok_or_else(|| self.error(format!("axis {axis} is outside a tensor of rank {rank}")))
    }

    fn broadcast(&self, a: &[Dim], b: &[Dim]) -> Result<Vec<Dim>, GraphError> {
        let rank = a.len().max(b.len());
        let one = Dim::Fixed(1);
        let at = |shape: &[Dim], index: usize| {
            (index + shape.len())
                .checked_sub(rank)
                .map_or(one.clone(), |i| shape[i].clone())
        };
        (0..rank)
            .map(|i| {
                let (x, y) = (at(a, i), at(b, i));
                x.broadcast(&y).ok_or_else(|| {
                    let (a, b) = (
                        Fact::new(ElementType::Float32, a.to_vec()),
                        Fact::new(ElementType::Float32, b.to_vec()),
                    );
                    self.error(format!("shapes {a} and {b} cannot be broadcast"))
                })
            })
            .collect()
    }

    fn elementwise(&self) -> Result<Known, GraphError> {
        let first = self.fact(0)?;
        let mut shape = first.shape.clone();
        for index in 1..self.node.inputs.len() {
            let next = self.fact(index)?;
            if next.element_type != first.element_type && self.node.op_type != "Pow" {
                return Err(self.error(format!("inputs differ in type: {first} and {next}")));
            }
            shape = match (shape, next.shape) {
                (Some(a), Some(b)) => Some(self.broadcast(&a, &b)?),
                _ => None,
            };
        }
        Ok(Fact {
            element_type: first.element_type,
            shape,
        }
        .into())
    }

    fn matmul(&self) -> Result<Known, GraphError> {
        let (a, b) = (self.fact(0)?, self.fact(1)?);
        if a.element_type != b.element_type {
            return Err(self.error(format!("inputs differ in type: {a} and {b}")));
        }
        let (Some(x), Some(y)) = (&a.shape, &b.shape) else {
            return Ok(Fact::unranked(a.element_type).into());
        };
        let ([x_batch @ .., rows, inner], [y_batch @ .., inner_too, columns]) =
            (x.as_slice(), y.as_slice())
        else {
            return match (x.len(), y.len()) {
                (0, _) | (_, 0) => {
                    Err(self.error(format!("needs vectors or matrices, found {a} and {b}")))
                }
                _ => Ok(Fact::unranked(a.element_type).into()),
            };
        };
        self.same_inner(inner, inner_too, &a, &b)?;
        let mut shape = self.broadcast(x_batch, y_batch)?;
        shape.extend([rows.clone(), columns.clone()]);
        Ok(Fact::new(a.element_type, shape).into())
    }

    fn same_inner(&self, x: &Dim, y: &Dim, a: &Fact, b: &Fact) -> Result<(), GraphError> {
        match (x.fixed(), y.fixed()) {
            (Some(p), Some(q)) if p != q => {
                Err(self.error(format!("inner dimensions differ: {a} and {b}")))
            }
            _ => Ok(()),
        }
    }

    fn gemm(&self) -> Result<Known, GraphError> {
        let (a, b) = (self.fact(0)?, self.fact(1)?);
        if a.shape.is_none() || b.shape.is_none() {
            return Ok(Fact::unranked(a.element_type).into());
        }
        let oriented = |fact: &Fact, transposed: bool| match fact.shape.as_deref() {
            Some([x, y]) if transposed => Ok((y.clone(), x.clone())),
            Some([x, y]) => Ok((x.clone(), y.clone())),
            _ => Err(self.error(format!("needs two matrices, found {fact}"))),
        };
        let (rows, inner) = oriented(&a, self.node.int("transA", 0) != 0)?;
        let (inner_too, columns) = oriented(&b, self.node.int("transB", 0) != 0)?;
        self.same_inner(&inner, &inner_too, &a, &b)?;
        let shape = vec![rows, columns];
        if let Some(bias) = self
            .node
            .input(2)
            .and_then(|_| self.shape(2).ok().flatten())
        {
            self.broadcast(&shape, &bias)?;
        }
        Ok(Fact::new(a.element_type, shape).into())
    }

    fn gather(&self) -> Result<Known, GraphError> {
        let (data, indices) = (self.fact(0)?, self.fact(1)?);
        if !matches!(
            indices.element_type,
            ElementType::Int32 | ElementType::Int64
        ) {
            return Err(self.error(format!("indices must be i32 or i64, found {indices}")));
        }
        let (Some(shape), Some(index)) = (&data.shape, &indices.shape) else {
            return Ok(Fact::unranked(data.element_type).into());
        };
        let axis = self.axis(self.node.int("axis", 0), shape.len())?;
        let dims = shape[..axis]
            .iter()
            .chain(index)
            .chain(&shape[axis + 1..])
            .cloned();
        Ok(Fact::new(data.element_type, dims).into())
    }

    fn reshape(&self) -> Result<Known, GraphError> {
        let data = self.fact(0)?;
        let wanted: Option<Vec<Option<Dim>>> = match (self.constant(1), self.contents(1)) {
            (Some(values), _) => Some(self.reshape_constant(&values, data.shape.as_deref())?),
            // A 0 stands for the size that the data has there, which only the constant form
            // follows.
            (None, Some(dims)) if !dims.contains(&Dim::Fixed(0)) => {
                Some(dims.into_iter().map(Some).collect())
            }
            _ => None,
        };
        let Some(wanted) = wanted else {
            return Ok(Fact::unranked(data.element_type).into());
        };
        let known: Vec<Dim> = wanted.iter().flatten().cloned().collect();
        let total = data.shape.as_ref().and_then(Product::of);
        let rest = Product::of(&known);
        // Sizes known by name only may work out when the graph runs.
        let all_fixed = known
            .iter()
            .chain(data.shape.iter().flatten())
            .all(|dim| dim.fixed().is_some());
        let inferred = total
            .zip(rest)
            .and_then(|(total, rest)| total.divide(&rest));
        let complete = known.len() == wanted.len();
        if all_fixed && (inferred.is_none() || complete && inferred != Some(Dim::Fixed(1))) {
            return Err(self.error(format!(
                "{data} does not reshape to {}",
                Fact::new(data.element_type, known)
            )));
        }
        let inferred = inferred.unwrap_or(Dim::Unknown);
        let shape = wanted
            .into_iter()
            .map(|dim| dim.unwrap_or_else(|| inferred.clone()));
        Ok(Fact::new(data.element_type, shape).into())
    }

    /// A constant shape: 0 keeps the input's dimension, -1 (`None` here) is inferred.
    fn reshape_constant(
        &self,
        values: &[i64],
        input: Option<&[Dim]>,
    ) -> Result<Vec<Option<Dim>>, GraphError> {
        let dim = |(index, value): (usize, &i64)| match value {
            0 => match input {
                Some(shape) if index < shape.len() => Ok(Some(shape[index].clone())),
                Some(_) => {
                    Err(self.error(format!("dimension {index} to keep is outside the input")))
                }
                None => Ok(Some(Dim::Unknown)),
            },
            -1 => Ok(None),
            size => u64::try_from(*size)
                .map(|n| Some(Dim::Fixed(n)))
                .map_err(|_| self.error(format!("{size} is not a dimension"))),
        };
        let dims = values
            .iter()
            .enumerate()
            .map(dim)
            .collect::<Result<Vec<_>, _>>()?;
        match dims.iter().filter(|d| d.is_none()).count() {
            0 | 1 => Ok(dims),
            _ => Err(self.error("only one dimension can be inferred")),
        }
    }

    fn transpose(&self) -> Result<Known, GraphError> {
        let data = self.fact(0)?;
        let Some(shape) = &data.shape else {
            return Ok(data.into());
        };
        let reversed: Vec<i64> = (0..i64::try_from(shape.len()).unwrap_or(0)).rev().collect();
        let order = self
            .node
            .attributes
            .get("perm")
            .and_then(|a| a.as_ints())
            .unwrap_or(&reversed);
        let mut seen = vec![false; shape.len()];
        let mut dims = Vec::with_capacity(shape.len());
        for axis in order {
            let axis = self.axis(*axis, shape.len())?;
            if std::mem::replace(&mut seen[axis], true) {
                return Err(self.error(format!("{order:?} is not a permutation")));
            }
            dims.push(shape[axis].clone());
        }
        if dims.len() != shape.len() {
            return Err(self.error(format!("{order:?} does not permute {data}")));
        }
        Ok(Fact::new(data.element_type, dims).into())
    }

    fn shape_of(&self) -> Result<Known, GraphError> {
        let Some(shape) = self.shape(0)? else {
            return Ok(Fact::new(ElementType::Int64, [Dim::Unknown]).into());
        };
        let rank = i64::try_from(shape.len()).unwrap_or(i64::MAX);
        let bound = |value: i64| if value < 0 { value + rank } else { value }.clamp(0, rank);
        let index = |value: i64| usize::try_from(bound(value)).unwrap_or(0);
        let (start, end) = (
            index(self.node.int("start", 0)),
            index(self.node.int("end", rank)),
        );
        let dims = shape.get(start..end).unwrap_or_default().to_vec();
        let fact = Fact::new(ElementType::Int64, [Dim::Fixed(dims.len() as u64)]);
        Ok(Known {
            fact: Some(fact),
            contents: Some(dims),
        })
    }

    fn concat(&self) -> Result<Known, GraphError> {
        let first = self.fact(0)?;
        let Some(mut shape) = first.shape.clone() else {
            return Ok(first.into());
        };
        let axis = self.axis(self.node.int("axis", 0), shape.len())?;
        let mut total = Some(0);
        for index in 0..self.node.inputs.len() {
            let next = self.fact(index)?;
            if next.element_type != first.element_type
                || next.rank().is_some_and(|r| r != shape.len())
            {
                return Err(self.error(format!("inputs do not fit together: {first} and {next}")));
            }
            let size = next.shape.as_ref().and_then(|s| s[axis].fixed());
            total = total.zip(size).map(|(a, b)| a + b);
        }
        shape[axis] = total.map_or(Dim::Unknown, Dim::Fixed);
        let parts: Option<Vec<_>> = (0..self.node.inputs.len())
            .map(|i| self.contents(i))
            .collect();
        let contents = parts.map(|p| p.concat()).filter(|_| shape.len() == 1);
        Ok(Known {
            fact: Some(Fact::new(first.element_type, shape)),
            contents,
        })
    }

    /// Only the forms that shape arithmetic needs are followed: one axis, from the start, by single
    /// steps.
    fn slice(&self) -> Result<Known, GraphError> {
        let data = self.fact(0)?;
        let Some(mut shape) = data.shape.clone() else {
            return Ok(data.into());
        };
        if self.node.inputs.len() < 3 {
            return Ok(Fact::new(data.element_type, shape.iter().map(|_| Dim::Unknown)).into());
        }
        let axes = match self.node.input(3) {
            Some(_) => self.constant(3),
            None => self
                .shape(1)?
                .and_then(|s| s.first()?.fixed())
                .map(|n| (0..i64::try_from(n).unwrap_or(0)).collect()),
        };
        let Some(axes) = axes else {
            return Ok(Fact::new(data.element_type, shape.iter().map(|_| Dim::Unknown)).into());
        };
        let (starts, ends) = (self.contents(1), self.contents(2));
        let steps = match self.node.input(4) {
            Some(_) => self.constant(4).unwrap_or_default(),
            None => vec![1; axes.len()],
        };
        for (index, axis) in axes.iter().enumerate() {
            let axis = self.axis(*axis, shape.len())?;
            let start = starts.as_ref().and_then(|s| s.get(index)).cloned();
            let end = ends.as_ref().and_then(|s| s.get(index)).cloned();
            shape[axis] = match (start, end, steps.get(index)) {
                (Some(Dim::Fixed(0)), Some(end @ Dim::Symbol(_)), Some(1)) => end,
                (Some(Dim::Fixed(start)), Some(Dim::Fixed(end)), Some(1)) => match shape[axis] {
                    Dim::Fixed(size) => Dim::Fixed(end.min(size).saturating_sub(start)),
                    _ => Dim::Unknown,
                },
                _ => Dim::Unknown,
            };
        }
        Ok(Fact::new(data.element_type, shape).into())
    }

    fn expand(&self) -> Result<Known, GraphError> {
        let data = self.fact(0)?;
        match (&data.shape, self.contents(1)) {
            (Some(shape), Some(target)) => {
                Ok(Fact::new(data.element_type, self.broadcast(shape, &target)?).into())
            }
            _ => Ok(Fact::unranked(data.element_type).into()),
        }
    }

    fn unsqueeze(&self) -> Result<Known, GraphError> {
        let data = self.fact(0)?;
        let (Some(shape), Some(axes)) = (&data.shape, self.axes()) else {
            return Ok(Fact::unranked(data.element_type).into());
        };
        let rank = shape.len() + axes.len();
        let axes = axes
            .iter()
            .map(|a| self.axis(*a, rank))
            .collect::<Result<Vec<_>, _>>()?;
        let mut rest = shape.iter().cloned();
        let dims = (0..rank).map(|i| {
            if axes.contains(&i) {
                Dim::Fixed(1)
            } else {
                rest.next().unwrap_or(Dim::Unknown)
            }
        });
        Ok(Fact::new(data.element_type, dims.collect::<Vec<_>>()).into())
    }

    fn reduce(&self) -> Result<Known, GraphError> {
        let data = self.fact(0)?;
        let (Some(shape), Some(axes)) = (&data.shape, self.axes()) else {
            return Ok(Fact::unranked(data.element_type).into());
        };
        let axes = axes
            .iter()
            .map(|a| self.axis(*a, shape.len()))
            .collect::<Result<Vec<_>, _>>()?;
        let keep = self.node.int("keepdims", 1) != 0;
        let dims =
            shape
                .iter()
                .enumerate()
                .filter_map(|(i, dim)| match (axes.contains(&i), keep) {
                    (true, true) => Some(Dim::Fixed(1)),
                    (true, false) => None,
                    _ => Some(dim.clone()),
                });
        Ok(Fact::new(data.element_type, dims.collect::<Vec<_>>()).into())
    }

    fn retyped(&self, element_type: ElementType) -> Result<Known, GraphError> {
        Ok(Fact {
            element_type,
            shape: self.shape(0)?,
        }
        .into())
    }

    fn cast(&self) -> Result<Known, GraphError> {
        // The numbers are those of TensorProto.DataType in the ONNX standard.
        let element_type = match self.node.int("to", 0) {
            1 => ElementType::Float32,
            2 => ElementType::Uint8,
            3 => ElementType::Int8,
            4 => ElementType::Uint16,
            5 => ElementType::Int16,
            6 => ElementType::Int32,
            7 => ElementType::Int64,
            9 => ElementType::Bool,
            10 => ElementType::Float16,
            11 => ElementType::Float64,
            12 => ElementType::Uint32,
            13 => ElementType::Uint64,
            16 => ElementType::BFloat16,
            other => return Err(self.error(format!("cast to type {other} is not supported"))),
        };
        self.retyped(element_type)
    }

    fn quantize(&self) -> Result<Known, GraphError> {
        let element_type = match self.node.input(2) {
            Some(_) => self.fact(2)?.element_type,
            None => ElementType::Uint8,
        };
        self.retyped(element_type)
    }
}
