//! The recorder as an interpreter of tensor operations.

use super::{Recorder, interpreter};
use rtune_graph::{NodeDraft, Tensor, ValueId};
use rtune_nn::{
    Axis, BinaryOp, CompareOp, Constant, ConstantValues, CustomOp, Extent, Kind, Operation, Ops,
    Param, ReduceOp, Result, Scopes, UnaryOp,
};

impl Ops for Recorder {
    type Value = ValueId;

    fn scopes(&self) -> Option<&Scopes> {
        Some(&self.scopes)
    }
    fn param(&self, param: &Param) -> Result<ValueId> {
        self.weight(param)
    }
    fn constant(&self, constant: &Constant, _: &ValueId) -> Result<ValueId> {
        self.formula_constant(constant)
    }

    fn unary(&self, op: UnaryOp, x: &ValueId) -> Result<ValueId> {
        self.next(op, op.onnx(), &[*x])
    }
    fn binary(&self, op: BinaryOp, a: &ValueId, b: &ValueId) -> Result<ValueId> {
        self.next(op, op.onnx(), &[*a, *b])
    }
    fn compare(&self, op: CompareOp, a: &ValueId, b: &ValueId) -> Result<ValueId> {
        let name = self.scopes.name(op);
        if op != CompareOp::Ne {
            return self.node(op.onnx(), &name, &[*a, *b]);
        }
        let equal = self.node(op.onnx(), &format!("{name}/Equal"), &[*a, *b])?;
        self.node("Not", &name, &[equal])
    }
    fn where_cond(&self, condition: &ValueId, yes: &ValueId, no: &ValueId) -> Result<ValueId> {
        self.next(Operation::Where, "Where", &[*condition, *yes, *no])
    }
    fn cast(&self, x: &ValueId, kind: Kind) -> Result<ValueId> {
        let draft = NodeDraft::new("Cast", self.scopes.name(Operation::Cast)).inputs([*x]);
        self.add(draft.attribute("to", super::text::code(kind)))
    }
    fn affine(&self, x: &ValueId, multiply: f64, add: f64) -> Result<ValueId> {
        let name = self.scopes.name(Operation::Affine);
        self.affine_named(*x, multiply, add, &name)
    }
    fn reduce(&self, op: ReduceOp, x: &ValueId, axis: Axis) -> Result<ValueId> {
        // Operator set 17: only ReduceSum takes its axes as an input.
        if op == ReduceOp::Sum {
            let axes = match axis.number() {
                -1 => self.i64s("shape/last", &[-1])?,
                number => self.i64s(&format!("shape/{number}"), &[number])?,
            };
            return self.next(op, op.onnx(), &[*x, axes]);
        }
        let draft = NodeDraft::new(op.onnx(), self.scopes.name(op)).inputs([*x]);
        self.add(draft.attribute("axes", vec![axis.number()]))
    }
    fn matmul(&self, a: &ValueId, b: &ValueId) -> Result<ValueId> {
        self.next(Operation::MatMul, "MatMul", &[*a, *b])
    }

    fn permute(&self, x: &ValueId, order: &[usize]) -> Result<ValueId> {
        self.record_permute(*x, order)
    }
    fn transpose(&self, x: &ValueId, first: Axis, second: Axis) -> Result<ValueId> {
        self.record_transpose(*x, first, second)
    }
    fn reshape(&self, x: &ValueId, shape: &[Extent]) -> Result<ValueId> {
        self.record_reshape(*x, shape)
    }
    fn unsqueeze(&self, x: &ValueId, axis: Axis) -> Result<ValueId> {
        let axes = self.i64s(&format!("shape/{}", axis.number()), &[axis.number()])?;
        self.next(Operation::Unsqueeze, "Unsqueeze", &[*x, axes])
    }
    fn squeeze(&self, x: &ValueId, axis: Axis) -> Result<ValueId> {
        let axes = self.i64s(&format!("shape/{}", axis.number()), &[axis.number()])?;
        self.next(Operation::Squeeze, "Squeeze", &[*x, axes])
    }
    fn narrow(&self, x: &ValueId, axis: Axis, start: usize, length: usize) -> Result<ValueId> {
        self.record_narrow(*x, axis, start, length)
    }
    fn cat(&self, parts: &[&ValueId], axis: Axis) -> Result<ValueId> {
        let name = self.scopes.name(Operation::Cat);
        let draft = NodeDraft::new("Concat", name).inputs(parts.iter().map(|part| **part));
        self.add(draft.attribute("axis", axis.number()))
    }

    fn gather(&self, table: &ValueId, ids: &ValueId) -> Result<ValueId> {
        self.next(Operation::Gather, "Gather", &[*table, *ids])
    }
    fn gather_last(&self, x: &ValueId, ids: &ValueId) -> Result<ValueId> {
        self.record_gather_last(*x, *ids)
    }

    fn custom(&self, op: &CustomOp, inputs: &[&ValueId]) -> Result<Vec<ValueId>> {
        self.record_custom(op, inputs)
    }

    fn linear(&self, x: &ValueId, weight: &Param, bias: Option<&Param>) -> Result<ValueId> {
        self.record_linear(*x, weight, bias)
    }
    fn layer_norm(
        &self,
        x: &ValueId,
        weight: &Param,
        bias: Option<&Param>,
        epsilon: f64,
    ) -> Result<ValueId> {
        self.record_layer_norm(*x, weight, bias, epsilon)
    }
    fn rms_norm(&self, x: &ValueId, weight: &Param, epsilon: f64) -> Result<ValueId> {
        self.record_rms_norm(*x, weight, epsilon)
    }
    fn gelu_erf(&self, x: &ValueId) -> Result<ValueId> {
        self.record_gelu_erf(*x)
    }
    fn softmax(&self, x: &ValueId) -> Result<ValueId> {
        let draft = NodeDraft::new("Softmax", self.scopes.name(Operation::Softmax)).inputs([*x]);
        self.add(draft.attribute("axis", -1_i64))
    }
    fn embedding(&self, ids: &ValueId, table: &Param) -> Result<ValueId> {
        let table_id = self.param(table)?;
        self.node("Gather", &self.scopes.module(table), &[table_id, *ids])
    }
}

impl Recorder {
    /// A constant under its name; another one of the same name gets a number behind it.
    fn formula_constant(&self, constant: &Constant) -> Result<ValueId> {
        let dims: Vec<u64> = constant.dims().iter().map(|dim| *dim as u64).collect();
        let tensor = match constant.values() {
            ConstantValues::Float(values) => Tensor::from_f32(&dims, values),
            ConstantValues::Int(values) => {
                let values: Vec<i64> = values.iter().map(|value| i64::from(*value)).collect();
                Tensor::from_i64(&dims, &values)
            }
        };
        let tensor = tensor.map_err(interpreter)?;
        let mut graph = self.graph.borrow_mut();
        let mut name = constant.name().to_owned();
        let mut count = 0;
        while let Some(id) = graph.graph().find(&name) {
            if graph.graph().initializer(id) == Some(&tensor) {
                return Ok(id);
            }
            count += 1;
            name = format!("{}_{count}", constant.name());
        }
        graph.constant(&name, tensor).map_err(interpreter)
    }
}
