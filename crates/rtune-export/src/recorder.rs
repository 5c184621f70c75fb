use crate::ExportError;
use rtune_graph::{
    Dim, ElementType, Fact, Graph, GraphBuilder, GraphError, NodeDraft, Tensor, ValueId,
};
use rtune_nn::{AttentionSpec, Extent, MASK_BIAS, NnError, Ops, Param, Result, Scopes};
use std::cell::RefCell;

/// Builds a graph from the operations of a forward.
#[derive(Debug)]
pub struct Recorder {
    graph: RefCell<GraphBuilder>,
    scopes: Scopes,
}

/// How the tokens of a batch lie in the graph.
#[derive(Debug, Clone)]
pub struct GraphSequences {
    /// i64 `[2]`: batch and sequence.
    grid: ValueId,
    /// i64 `[batch·sequence]`
    positions: ValueId,
    /// f32 `[batch, sequence]`
    mask: ValueId,
    /// f32 `[batch, 1, 1, sequence]`
    mask_bias: ValueId,
}

/// The inputs of a text model, as the forward takes them.
#[derive(Debug, Clone)]
pub struct TextInputs {
    /// i64 `[batch·sequence]`
    pub input_ids: ValueId,
    /// i64 `[batch·sequence]`
    pub token_type_ids: ValueId,
    /// How the tokens lie.
    pub sequences: GraphSequences,
}

fn interpreter(error: &GraphError) -> NnError {
    NnError::Interpreter(error.to_string())
}

impl Recorder {
    /// A recorder of a graph named `name`.
    pub fn new(name: &str) -> Self {
        Self {
            graph: RefCell::new(GraphBuilder::new(name, crate::SUPPORTED_OPSET)),
            scopes: Scopes::default(),
        }
    }

    /// Adds a graph input.
    ///
    /// # Errors
    /// Where the name is taken.
    pub fn input(&self, name: &str, fact: Fact) -> Result<ValueId, ExportError> {
        Ok(self.graph.borrow_mut().input(name, fact)?)
    }

    /// Adds the inputs of a text model, each `[batch, sequence]`, and what attention and pooling
    /// need of them.
    ///
    /// # Errors
    /// Where a name is taken.
    pub fn text_inputs(&self, max_positions: usize) -> Result<TextInputs, ExportError> {
        let fact = || {
            Fact::new(
                ElementType::Int64,
                [Dim::symbol("batch"), Dim::symbol("sequence")],
            )
        };
        let ids = self.input("input_ids", fact())?;
        let mask = self.input("attention_mask", fact())?;
        let types = self.input("token_type_ids", fact())?;
        let flat = self.i64s("shape/flat", &[-1])?;
        let flatten = |name: &str, x| self.node("Reshape", name, &[x, flat]);

        let outer = self.scopes.enter("inputs");
        let grid = self.add(NodeDraft::new("Shape", "inputs/grid").inputs([ids]))?;
        let sequence = self.add(
            NodeDraft::new("Shape", "inputs/sequence")
                .inputs([ids])
                .attribute("start", 1_i64),
        )?;
        let places: Vec<i64> = (0_i64..).take(max_positions).collect();
        let places = self.i64s("embeddings.position_ids", &places)?;
        let zero = self.i64s("shape/zero", &[0])?;
        let row = self.node(
            "Slice",
            "inputs/positions/Slice",
            &[places, zero, sequence, zero],
        )?;
        let rows = self.node("Expand", "inputs/positions/Expand", &[row, grid])?;
        // The numbers are those of TensorProto.DataType in the ONNX standard: 1 is f32.
        let mask = self.add(
            NodeDraft::new("Cast", "inputs/mask")
                .inputs([mask])
                .attribute("to", 1_i64),
        )?;
        let axes = self.i64s("shape/heads_and_queries", &[1, 2])?;
        let wide = self.node("Unsqueeze", "inputs/mask_bias/Unsqueeze", &[mask, axes])?;
        let bias = self.affine_named(wide, -MASK_BIAS, MASK_BIAS, "inputs/mask_bias")?;
        let inputs = TextInputs {
            input_ids: flatten("inputs/input_ids", ids)?,
            token_type_ids: flatten("inputs/token_type_ids", types)?,
            sequences: GraphSequences {
                grid,
                positions: flatten("inputs/positions", rows)?,
                mask,
                mask_bias: bias,
            },
        };
        self.scopes.leave(outer);
        Ok(inputs)
    }

    /// Ends the recording; each output gets its name.
    ///
    /// # Errors
    /// Where a name is taken.
    pub fn finish<'a>(
        self,
        outputs: impl IntoIterator<Item = (&'a str, ValueId)>,
    ) -> Result<Graph, ExportError> {
        for (name, value) in outputs {
            let output = self.node("Identity", name, &[value])?;
            self.graph.borrow_mut().output(output)?;
        }
        Ok(self.graph.into_inner().finish().graph)
    }

    fn add(&self, draft: NodeDraft) -> Result<ValueId> {
        self.graph
            .borrow_mut()
            .add(draft)
            .map_err(|e| interpreter(&e))
    }

    fn node(&self, op_type: &str, name: &str, inputs: &[ValueId]) -> Result<ValueId> {
        self.add(NodeDraft::new(op_type, name).inputs(inputs.iter().copied()))
    }

    /// A node named as the next operation of this kind.
    fn next(&self, operation: &str, op_type: &str, inputs: &[ValueId]) -> Result<ValueId> {
        self.node(op_type, &self.scopes.next(operation), inputs)
    }

    /// A constant, the same one for the same name.
    fn constant(
        &self,
        name: &str,
        tensor: impl FnOnce() -> Result<Tensor, GraphError>,
    ) -> Result<ValueId> {
        if let Some(id) = self.graph.borrow().graph().find(name) {
            return Ok(id);
        }
        let tensor = tensor().map_err(|e| interpreter(&e))?;
        self.graph
            .borrow_mut()
            .constant(name, tensor)
            .map_err(|e| interpreter(&e))
    }

    fn i64s(&self, name: &str, values: &[i64]) -> Result<ValueId> {
        self.constant(name, || Tensor::from_i64(&[values.len() as u64], values))
    }

    #[allow(clippy::cast_possible_truncation)] // Graphs compute in single precision.
    fn scalar(&self, value: f64) -> Result<ValueId> {
        self.constant(&format!("constant/{value}"), || {
            Tensor::from_f32(&[], &[value as f32])
        })
    }

    /// The dimensions of a value, where its rank is known.
    fn dims(&self, value: ValueId) -> Option<Vec<Dim>> {
        let graph = self.graph.borrow();
        graph.facts().shape(value).map(<[_]>::to_vec)
    }

    fn affine_named(&self, x: ValueId, multiply: f64, add: f64, name: &str) -> Result<ValueId> {
        if add == 0.0 {
            return self.node("Mul", name, &[x, self.scalar(multiply)?]);
        }
        let scaled = self.node("Mul", &format!("{name}/Mul"), &[x, self.scalar(multiply)?])?;
        self.node("Add", name, &[scaled, self.scalar(add)?])
    }

    /// `[batch, sequence]` and the given sizes as one shape.
    fn grid_shape(&self, sequences: &GraphSequences, sizes: &[usize]) -> Result<ValueId> {
        let label = sizes
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join("x");
        let name = format!("shape/grid/{label}");
        if let Some(id) = self.graph.borrow().graph().find(&name) {
            return Ok(id);
        }
        let rest = self.i64s(&format!("shape/{label}"), &as_i64(sizes))?;
        self.add(
            NodeDraft::new("Concat", name)
                .inputs([sequences.grid, rest])
                .attribute("axis", 0_i64),
        )
    }

    /// `[batch·sequence, width]` → `[batch, sequence, width]`.
    fn to_grid(&self, hidden: ValueId, sequences: &GraphSequences, name: &str) -> Result<ValueId> {
        let width = self.dims(hidden).and_then(|dims| dims.last()?.fixed());
        let width = width.and_then(|w| usize::try_from(w).ok());
        let width = width.ok_or_else(|| {
            NnError::Interpreter(format!(
                "{name}: the width of the hidden states is not known"
            ))
        })?;
        self.node(
            "Reshape",
            name,
            &[hidden, self.grid_shape(sequences, &[width])?],
        )
    }

    fn reduce(&self, operation: &str, op_type: &str, x: ValueId) -> Result<ValueId> {
        let draft = NodeDraft::new(op_type, self.scopes.next(operation)).inputs([x]);
        self.add(draft.attribute("axes", vec![-1_i64]))
    }

    fn transposed_weight(&self, weight: &Param) -> Result<ValueId> {
        let dims = weight.value().dims2()?;
        let values = weight.value().t()?.flatten_all()?.to_vec1::<f32>()?;
        self.constant(&format!("{}.transposed", weight.name()), || {
            Tensor::from_f32(&[dims.1 as u64, dims.0 as u64], &values)
        })
    }
}

fn as_i64(sizes: &[usize]) -> Vec<i64> {
    sizes
        .iter()
        .map(|size| i64::try_from(*size).unwrap_or(i64::MAX))
        .collect()
}

impl Ops for Recorder {
    type Value = ValueId;
    type Sequences = GraphSequences;

    fn param(&self, param: &Param) -> Result<ValueId> {
        self.constant(param.name(), || {
            let error = |e: candle_core::Error| GraphError::value(param.name(), e.to_string());
            let values = param
                .value()
                .flatten_all()
                .and_then(|t| t.to_vec1::<f32>())
                .map_err(error)?;
            let dims: Vec<u64> = param.value().dims().iter().map(|d| *d as u64).collect();
            Tensor::from_f32(&dims, &values)
        })
    }

    fn add(&self, a: &ValueId, b: &ValueId) -> Result<ValueId> {
        self.next("add", "Add", &[*a, *b])
    }
    fn sub(&self, a: &ValueId, b: &ValueId) -> Result<ValueId> {
        self.next("sub", "Sub", &[*a, *b])
    }
    fn mul(&self, a: &ValueId, b: &ValueId) -> Result<ValueId> {
        self.next("mul", "Mul", &[*a, *b])
    }
    fn div(&self, a: &ValueId, b: &ValueId) -> Result<ValueId> {
        self.next("div", "Div", &[*a, *b])
    }
    fn affine(&self, x: &ValueId, multiply: f64, add: f64) -> Result<ValueId> {
        self.affine_named(*x, multiply, add, &self.scopes.next("affine"))
    }
    fn matmul(&self, a: &ValueId, b: &ValueId) -> Result<ValueId> {
        self.next("matmul", "MatMul", &[*a, *b])
    }
    fn transpose(&self, x: &ValueId, order: &[usize]) -> Result<ValueId> {
        let draft = NodeDraft::new("Transpose", self.scopes.next("transpose")).inputs([*x]);
        Recorder::add(self, draft.attribute("perm", as_i64(order)))
    }
    fn reshape(&self, x: &ValueId, shape: &[Extent]) -> Result<ValueId> {
        let sizes: Vec<i64> = shape
            .iter()
            .map(|extent| match extent {
                Extent::Keep => 0,
                Extent::Infer => -1,
                Extent::Exact(size) => i64::try_from(*size).unwrap_or(i64::MAX),
            })
            .collect();
        let name = self.scopes.next("reshape");
        let shape = self.i64s(&format!("{name}/shape"), &sizes)?;
        self.node("Reshape", &name, &[*x, shape])
    }
    fn exp(&self, x: &ValueId) -> Result<ValueId> {
        self.next("exp", "Exp", &[*x])
    }
    fn sqrt(&self, x: &ValueId) -> Result<ValueId> {
        self.next("sqrt", "Sqrt", &[*x])
    }
    fn erf(&self, x: &ValueId) -> Result<ValueId> {
        self.next("erf", "Erf", &[*x])
    }
    fn tanh(&self, x: &ValueId) -> Result<ValueId> {
        self.next("tanh", "Tanh", &[*x])
    }
    fn relu(&self, x: &ValueId) -> Result<ValueId> {
        self.next("relu", "Relu", &[*x])
    }
    fn sum_last(&self, x: &ValueId) -> Result<ValueId> {
        let axes = self.i64s("shape/last", &[-1])?;
        self.next("sum", "ReduceSum", &[*x, axes])
    }
    fn mean_last(&self, x: &ValueId) -> Result<ValueId> {
        self.reduce("mean", "ReduceMean", *x)
    }
    fn max_last(&self, x: &ValueId) -> Result<ValueId> {
        self.reduce("max", "ReduceMax", *x)
    }
    fn gather(&self, table: &ValueId, ids: &ValueId) -> Result<ValueId> {
        self.next("gather", "Gather", &[*table, *ids])
    }

    fn position_ids(&self, sequences: &GraphSequences) -> Result<ValueId> {
        Ok(sequences.positions)
    }
    fn mask_bias(&self, sequences: &GraphSequences) -> Result<ValueId> {
        Ok(sequences.mask_bias)
    }
    fn split_heads(
        &self,
        x: &ValueId,
        spec: &AttentionSpec,
        sequences: &GraphSequences,
    ) -> Result<ValueId> {
        let name = self.scopes.next("split_heads");
        let shape = self.grid_shape(sequences, &[spec.heads, spec.head_dim])?;
        let grid = self.node("Reshape", &format!("{name}/Reshape"), &[*x, shape])?;
        Recorder::add(
            self,
            NodeDraft::new("Transpose", name)
                .inputs([grid])
                .attribute("perm", vec![0_i64, 2, 1, 3]),
        )
    }
    fn merge_heads(
        &self,
        x: &ValueId,
        spec: &AttentionSpec,
        _: &GraphSequences,
    ) -> Result<ValueId> {
        let name = self.scopes.next("merge_heads");
        let draft = NodeDraft::new("Transpose", format!("{name}/Transpose")).inputs([*x]);
        let grid = Recorder::add(self, draft.attribute("perm", vec![0_i64, 2, 1, 3]))?;
        let width = as_i64(&[spec.heads * spec.head_dim])[0];
        let shape = self.i64s(&format!("shape/flat/{width}"), &[-1, width])?;
        self.node("Reshape", &name, &[grid, shape])
    }
    fn mean_pool(&self, hidden: &ValueId, sequences: &GraphSequences) -> Result<ValueId> {
        let name = self.scopes.next("mean_pool");
        let part = |part: &str| format!("{name}/{part}");
        let grid = self.to_grid(*hidden, sequences, &part("Reshape"))?;
        let axes = self.i64s("shape/sequence_axis", &[1])?;
        let counts = self.node("ReduceSum", &part("ReduceSum"), &[sequences.mask, axes])?;
        let counts = self.node("Max", &part("Max"), &[counts, self.scalar(1.0)?])?;
        let shares = self.node("Div", &part("Div"), &[sequences.mask, counts])?;
        let shares = self.node("Unsqueeze", &part("Unsqueeze"), &[shares, axes])?;
        let mean = self.node("MatMul", &part("MatMul"), &[shares, grid])?;
        let width = self
            .dims(mean)
            .and_then(|dims| dims.last()?.fixed())
            .unwrap_or(0);
        let shape = self.i64s(&format!("shape/batch/{width}"), &[0, width.cast_signed()])?;
        self.node("Reshape", &name, &[mean, shape])
    }
    fn first_pool(&self, hidden: &ValueId, sequences: &GraphSequences) -> Result<ValueId> {
        let name = self.scopes.next("first_pool");
        let grid = self.to_grid(*hidden, sequences, &format!("{name}/Reshape"))?;
        let first = self.constant("shape/first", || Tensor::from_i64(&[], &[0]))?;
        Recorder::add(
            self,
            NodeDraft::new("Gather", name)
                .inputs([grid, first])
                .attribute("axis", 1_i64),
        )
    }

    fn enter(&self, path: &str) -> String {
        self.scopes.enter(path)
    }
    fn leave(&self, previous: String) {
        self.scopes.leave(previous);
    }

    /// One `Gemm` over rows; over more axes, `MatMul` with the transposed weight.
    fn linear(&self, x: &ValueId, weight: &Param, bias: Option<&Param>) -> Result<ValueId> {
        let name = self.scopes.unique(weight.module().to_owned());
        if self.dims(*x).is_some_and(|dims| dims.len() == 2) {
            let mut inputs = vec![*x, self.param(weight)?];
            inputs.extend(bias.map(|bias| self.param(bias)).transpose()?);
            return Recorder::add(
                self,
                NodeDraft::new("Gemm", name)
                    .inputs(inputs)
                    .attribute("transB", 1_i64),
            );
        }
        let weight = self.transposed_weight(weight)?;
        match bias {
            None => self.node("MatMul", &name, &[*x, weight]),
            Some(bias) => {
                let product = self.node("MatMul", &format!("{name}/MatMul"), &[*x, weight])?;
                self.node("Add", &name, &[product, self.param(bias)?])
            }
        }
    }

    fn layer_norm(
        &self,
        x: &ValueId,
        weight: &Param,
        bias: &Param,
        epsilon: f64,
    ) -> Result<ValueId> {
        let name = self.scopes.unique(weight.module().to_owned());
        let inputs = [*x, self.param(weight)?, self.param(bias)?];
        #[allow(clippy::cast_possible_truncation)] // The attribute is in single precision.
        let epsilon = epsilon as f32;
        let draft = NodeDraft::new("LayerNormalization", name).inputs(inputs);
        Recorder::add(
            self,
            draft
                .attribute("axis", -1_i64)
                .attribute("epsilon", epsilon),
        )
    }

    /// The chain that the runtime recognizes and replaces by its own Gelu.
    fn gelu(&self, x: &ValueId) -> Result<ValueId> {
        let name = self.scopes.next("gelu");
        let part = |part: &str| format!("{name}/{part}");
        let scaled = self.node(
            "Div",
            &part("Div"),
            &[*x, self.scalar(std::f64::consts::SQRT_2)?],
        )?;
        let erf = self.node("Erf", &part("Erf"), &[scaled])?;
        let shifted = self.node("Add", &part("Add"), &[erf, self.scalar(1.0)?])?;
        let product = self.node("Mul", &part("Mul"), &[*x, shifted])?;
        self.node("Mul", &name, &[product, self.scalar(0.5)?])
    }

    fn softmax(&self, x: &ValueId) -> Result<ValueId> {
        let draft = NodeDraft::new("Softmax", self.scopes.next("softmax")).inputs([*x]);
        Recorder::add(self, draft.attribute("axis", -1_i64))
    }

    fn embedding(&self, ids: &ValueId, table: &Param) -> Result<ValueId> {
        let name = self.scopes.unique(table.module().to_owned());
        self.node("Gather", &name, &[self.param(table)?, *ids])
    }
}
