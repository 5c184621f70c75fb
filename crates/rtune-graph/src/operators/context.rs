use crate::facts::Known;
use crate::operators::{AttributeDefault, Form};
use crate::{Attribute, Contents, Dim, ElementType, Expr, Fact, GraphErrorKind, Node, Tensor};

/// Everything known of a node's outputs, in order.
pub(crate) type Inference = Result<Vec<Known>, Stop>;

/// The reason why an inference does not go on.
#[derive(Debug)]
pub(crate) enum Stop {
    /// Not enough is known of the inputs.
    Unknown,
    /// Only the type of the first output follows.
    Unranked(ElementType),
    /// The operator does not accept such inputs.
    Error(Box<GraphErrorKind>),
}

/// An input of a node.
pub(crate) struct Input<'a> {
    pub(crate) name: &'a str,
    pub(crate) known: &'a Known,
    pub(crate) constant: Option<&'a Tensor>,
}

/// A node with everything that its inference may look at.
pub(crate) struct Context<'a> {
    node: &'a Node,
    form: &'static Form,
    opset: i64,
    inputs: Vec<Option<Input<'a>>>,
    outputs: usize,
}

/// The axes of a node.
pub(crate) enum Axes {
    /// The node names no axes.
    All,
    /// The axes come from an input whose contents are not known.
    Unknown,
    Known(Vec<i64>),
}

/// One output of which type and shape are known.
pub(crate) fn one(element_type: ElementType, shape: impl IntoIterator<Item = Dim>) -> Inference {
    Ok(vec![Fact::new(element_type, shape).into()])
}

/// One small integer vector or scalar with its elements.
pub(crate) fn one_with(fact: Fact, contents: Option<Contents>) -> Inference {
    let fact = Some(fact);
    Ok(vec![Known { fact, contents }])
}

impl<'a> Context<'a> {
    pub(crate) fn new(
        node: &'a Node,
        form: &'static Form,
        opset: i64,
        inputs: Vec<Option<Input<'a>>>,
        outputs: usize,
    ) -> Self {
        Self {
            node,
            form,
            opset,
            inputs,
            outputs,
        }
    }

    pub(crate) fn node(&self) -> &'a Node {
        self.node
    }

    pub(crate) fn opset(&self) -> i64 {
        self.opset
    }

    /// The number of inputs, omitted ones included.
    pub(crate) fn inputs(&self) -> usize {
        self.inputs.len()
    }

    /// The number of outputs, omitted ones included.
    pub(crate) fn outputs(&self) -> usize {
        self.outputs
    }

    pub(crate) fn error(&self, problem: impl Into<GraphErrorKind>) -> Stop {
        Stop::Error(Box::new(problem.into()))
    }

    fn input(&self, index: usize) -> Option<&Input<'a>> {
        self.inputs.get(index)?.as_ref()
    }

    /// True if the input is there.
    pub(crate) fn has(&self, index: usize) -> bool {
        self.input(index).is_some()
    }

    /// The fact of an input, if it is there and known.
    pub(crate) fn fact_of(&self, index: usize) -> Option<&'a Fact> {
        self.input(index)?.known.fact.as_ref()
    }

    /// The fact of an input; without one, nothing follows.
    pub(crate) fn fact(&self, index: usize) -> Result<&'a Fact, Stop> {
        self.fact_of(index).ok_or(Stop::Unknown)
    }

    /// Type and dimensions of an input; without a rank, only its type follows for the output.
    pub(crate) fn ranked(&self, index: usize) -> Result<(ElementType, &'a [Dim]), Stop> {
        let fact = self.fact(index)?;
        match &fact.shape {
            Some(shape) => Ok((fact.element_type, shape)),
            None => Err(Stop::Unranked(fact.element_type)),
        }
    }

    /// The dimensions of an input, if they are known.
    pub(crate) fn shape_of(&self, index: usize) -> Option<&'a [Dim]> {
        self.fact_of(index)?.shape.as_deref()
    }

    /// The constant behind an input, if it is one.
    pub(crate) fn constant(&self, index: usize) -> Option<&'a Tensor> {
        self.input(index)?.constant
    }

    /// The elements of a small integer input, as far as they are known.
    pub(crate) fn contents(&self, index: usize) -> Option<&'a [Option<Expr>]> {
        self.input(index)?.known.contents.as_deref()
    }

    /// The elements of a small integer input, if all are constants.
    pub(crate) fn constants(&self, index: usize) -> Option<Vec<i64>> {
        let constant = |e: &Option<Expr>| e.as_ref()?.as_constant();
        self.contents(index)?.iter().map(constant).collect()
    }

    fn attribute(&self, name: &str) -> Option<&'a Attribute> {
        self.node.attributes.get(name)
    }

    fn default(&self, name: &str) -> Option<AttributeDefault> {
        self.form.attribute(name).map(|rule| rule.default)
    }

    /// The value of an integer attribute, or its default in this form.
    pub(crate) fn int(&self, name: &str) -> Result<i64, Stop> {
        let value = self.attribute(name).and_then(Attribute::as_int);
        match (value, self.default(name)) {
            (Some(value), _) | (None, Some(AttributeDefault::Int(value))) => Ok(value),
            _ => Err(self.error(GraphErrorKind::MissingAttribute(name.to_owned()))),
        }
    }

    /// True if an integer attribute, or its default in this form, is not 0.
    pub(crate) fn flag(&self, name: &str) -> Result<bool, Stop> {
        Ok(self.int(name)? != 0)
    }

    /// The value of an integer attribute that has no default.
    pub(crate) fn optional_int(&self, name: &str) -> Option<i64> {
        self.attribute(name).and_then(Attribute::as_int)
    }

    /// The values of an attribute that is a list of integers.
    pub(crate) fn ints(&self, name: &str) -> Option<&'a [i64]> {
        self.attribute(name).and_then(Attribute::as_ints)
    }

    /// The values of an attribute that is a list of floats.
    pub(crate) fn floats(&self, name: &str) -> Option<&'a [f32]> {
        self.attribute(name).and_then(Attribute::as_floats)
    }

    /// The value of a text attribute, or its default in this form.
    pub(crate) fn text(&self, name: &str) -> Result<&'a str, Stop> {
        let value = self.attribute(name).and_then(Attribute::as_str);
        match (value, self.default(name)) {
            (Some(value), _) | (None, Some(AttributeDefault::Text(value))) => Ok(value),
            _ => Err(self.error(format!("attribute `{name}` is not UTF-8"))),
        }
    }

    /// The tensor of an attribute.
    pub(crate) fn tensor(&self, name: &str) -> Option<&'a Tensor> {
        self.attribute(name).and_then(Attribute::as_tensor)
    }

    /// The axes from the attribute `axes` of older forms, or from input `index` of newer ones.
    pub(crate) fn axes(&self, index: usize) -> Axes {
        if let Some(axes) = self.ints("axes") {
            return Axes::Known(axes.to_vec());
        }
        match (self.has(index), self.constants(index)) {
            (_, Some(axes)) => Axes::Known(axes),
            (true, None) => Axes::Unknown,
            (false, None) => Axes::All,
        }
    }

    /// An axis as an index into `rank` dimensions; negative ones count from the end.
    pub(crate) fn axis(&self, axis: i64, rank: usize) -> Result<usize, Stop> {
        let from_start = match axis < 0 {
            true => i64::try_from(rank)
                .ok()
                .and_then(|rank| rank.checked_add(axis)),
            false => Some(axis),
        };
        let index = from_start.and_then(|axis| usize::try_from(axis).ok());
        index
            .filter(|index| *index < rank)
            .ok_or_else(|| self.error(format!("axis {axis} is outside a tensor of rank {rank}")))
    }

    /// Several axes as indices, each of them named once.
    pub(crate) fn distinct_axes(&self, axes: &[i64], rank: usize) -> Result<Vec<usize>, Stop> {
        let mut found = Vec::with_capacity(axes.len());
        for axis in axes {
            let index = self.axis(*axis, rank)?;
            if found.contains(&index) {
                return Err(self.error(format!("axis {axis} is named twice")));
            }
            found.push(index);
        }
        Ok(found)
    }

    /// An expression as a dimension: unknown without one, an error if it is negative.
    pub(crate) fn dim(&self, expr: Option<Expr>) -> Result<Dim, Stop> {
        let Some(expr) = expr else {
            return Ok(Dim::Unknown);
        };
        let size = expr.as_constant();
        Dim::of(expr).ok_or_else(|| {
            let size = size.map_or_else(String::new, |size| size.to_string());
            self.error(format!("a dimension would be {size}"))
        })
    }

    /// The shape of two shapes broadcast together, as NumPy does it.
    pub(crate) fn broadcast(&self, a: &[Dim], b: &[Dim]) -> Result<Vec<Dim>, Stop> {
        let rank = a.len().max(b.len());
        let at = |shape: &[Dim], index: usize| match (index + shape.len()).checked_sub(rank) {
            Some(index) => shape[index].clone(),
            None => Dim::Fixed(1),
        };
        let dims = (0..rank).map(|index| at(a, index).broadcast(&at(b, index)));
        dims.collect::<Option<Vec<_>>>().ok_or_else(|| {
            let shape = |dims: &[Dim]| Fact::new(ElementType::Float32, dims.to_vec());
            let (a, b) = (shape(a), shape(b));
            self.error(format!("shapes {a} and {b} cannot be broadcast"))
        })
    }

    /// Two inputs of one type.
    pub(crate) fn same_type(&self, a: usize, b: usize) -> Result<(), Stop> {
        match (self.fact_of(a), self.fact_of(b)) {
            (Some(a), Some(b)) if a.element_type != b.element_type => {
                Err(self.error(format!("inputs differ in type: {a} and {b}")))
            }
            _ => Ok(()),
        }
    }

    /// An input that holds indices: `i32` or `i64`.
    pub(crate) fn indices(&self, index: usize) -> Result<&'a Fact, Stop> {
        let fact = self.fact(index)?;
        match fact.element_type {
            ElementType::Int32 | ElementType::Int64 => Ok(fact),
            _ => Err(self.error(format!("indices must be i32 or i64, found {fact}"))),
        }
    }

    /// Two dimensions that must be the same size.
    pub(crate) fn same_size(&self, a: &Dim, b: &Dim, problem: &str) -> Result<(), Stop> {
        match (a.fixed(), b.fixed()) {
            (Some(p), Some(q)) if p != q => Err(self.error(format!("{problem}: {p} and {q}"))),
            _ => Ok(()),
        }
    }

    /// The element type behind an attribute such as `to` of `Cast`.
    pub(crate) fn element_type(&self, code: i64) -> Result<ElementType, Stop> {
        ElementType::from_code(code).ok_or_else(|| {
            self.error(format!(
                "element type {} is not supported",
                ElementType::name_of(code)
            ))
        })
    }

    /// The name of an input, for messages.
    pub(crate) fn name(&self, index: usize) -> &'a str {
        self.input(index).map_or("", |input| input.name)
    }
}
