//! The plan of a quantization: what becomes integer, how, and why the rest does not.

use crate::apply::Apply;
use crate::calibrate::{MASK_INPUT, Rows};
use crate::recipe::{Kind, RECIPES, Recipe, Site};
use crate::{QuantError, Quantizable, Ranges, Refusal, Scheme};
use rtune_graph::{Dim, ElementType, Fact, Model, NodeId, ValueId, passes::tap_outputs};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// Choices of a quantization.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// Integer types and scales.
    pub scheme: Scheme,
    /// True if embedding tables become int8.
    pub embeddings: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            scheme: Scheme::default(),
            embeddings: true,
        }
    }
}

/// Operation that stays in float.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LeftFloat {
    /// Name of the node's output.
    pub output: String,
    /// The operator.
    pub operator: String,
    /// Reason why it stays.
    pub reason: Refusal,
}

/// The operations that a quantization changes, and the candidates that it leaves.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Quantized {
    /// Outputs of the products that compute with integers.
    pub products: Vec<String>,
    /// Outputs of the lookups in integer tables.
    pub lookups: Vec<String>,
    /// Products and lookups that stay in float.
    pub left_float: Vec<LeftFloat>,
}

/// Plan of a quantization of one model.
///
/// ```
/// use rtune_graph::{Dim, ElementType, Fact, GraphBuilder, NodeDraft, Tensor};
/// use rtune_quant::{Plan, QuantError, Quantizable, Settings};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let mut builder = GraphBuilder::new("example", 17);
/// let x = builder.input("x", Fact::new(ElementType::Float32, [Dim::symbol("n"), Dim::Fixed(2)]))?;
/// let weight = builder.constant("weight", Tensor::from_f32(&[2, 1], &[0.5, -1.0])?)?;
/// let y = builder.add(NodeDraft::new("MatMul", "y").inputs([x, weight]))?;
/// builder.output(y)?;
///
/// let source = Quantizable::new(&builder.finish())?;
/// let plan = Plan::new(&source, Settings::default())?;
/// assert_eq!(plan.quantized().products, ["y"]);
/// let (int8, _) = plan.apply(&[("x".to_owned(), (-1.0, 3.0))].into())?;
/// assert!(int8.to_string().contains("x/QuantizeLinear"));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Plan<'m> {
    source: &'m Quantizable,
    settings: Settings,
    /// In order of execution.
    sites: BTreeMap<NodeId, (&'static dyn Recipe, Site)>,
    quantized: Quantized,
}

impl<'m> Plan<'m> {
    /// Finds everything in `source` that can be quantized.
    ///
    /// # Errors
    /// If nothing in it could compute with integers.
    pub fn new(source: &'m Quantizable, settings: Settings) -> Result<Self, QuantError> {
        let mut plan = Self {
            source,
            settings,
            sites: BTreeMap::new(),
            quantized: Quantized::default(),
        };
        for (id, node) in source.model().graph.nodes() {
            for recipe in RECIPES.iter().filter(|recipe| node.is(recipe.op_type())) {
                match plan.matches(*recipe, id) {
                    Ok(None) => {}
                    Ok(Some(site)) => {
                        let output = plan.output_of(site.last);
                        match recipe.kind() {
                            Kind::Product => plan.quantized.products.push(output),
                            Kind::Lookup => plan.quantized.lookups.push(output),
                        }
                        plan.sites.insert(id, (*recipe, site));
                    }
                    Err(reason) => plan.quantized.left_float.push(LeftFloat {
                        output: plan.output_of(id),
                        operator: node.op_type.clone(),
                        reason,
                    }),
                }
            }
        }
        if plan.quantized.products.is_empty() {
            return Err(QuantError::NothingToQuantize);
        }
        Ok(plan)
    }

    fn matches(&self, recipe: &dyn Recipe, id: NodeId) -> Result<Option<Site>, Refusal> {
        let site = recipe.matches(self.source, id)?;
        if site.is_some() && recipe.kind() == Kind::Lookup && !self.settings.embeddings {
            return Err(Refusal::Settings);
        }
        Ok(site)
    }

    fn output_of(&self, id: NodeId) -> String {
        let graph = &self.source.model().graph;
        let output = graph.node(id).output(0);
        output.map_or_else(String::new, |id| graph.name_of(id).to_owned())
    }

    /// The operations that become integer, and the candidates that stay in float.
    pub fn quantized(&self) -> &Quantized {
        &self.quantized
    }

    /// The values that need a range, each once, in order of execution.
    fn activations(&self) -> Vec<ValueId> {
        let mut seen = BTreeSet::new();
        let activations = self.sites.values().filter_map(|(_, site)| site.activation);
        activations.filter(|id| seen.insert(*id)).collect()
    }

    /// Names of the tensors that need a range, with the relation of their rows to tokens.
    pub(crate) fn calibrated(&self) -> impl Iterator<Item = (String, Rows)> {
        let (graph, facts) = (&self.source.model().graph, self.source.facts());
        let mask: Option<&[Dim]> = graph.find(MASK_INPUT).and_then(|id| facts.shape(id));
        let rows = move |id| {
            (
                graph.name_of(id).to_owned(),
                Rows::of(mask, facts.shape(id)),
            )
        };
        self.activations().into_iter().map(rows)
    }

    /// The float model with the tensors that need a range as further outputs: the model that a
    /// [`Calibrator`](crate::Calibrator) runs.
    ///
    /// # Errors
    /// If the graph refuses an output.
    pub fn tapped(&self) -> Result<Model, QuantError> {
        let mut model = self.source.model().clone();
        let ids = self.activations();
        for id in &ids {
            // The other input of a product with a float32 weight is float32, stated or not.
            if self.source.facts().fact(*id).is_none() {
                let fact = Fact::unranked(ElementType::Float32);
                model.graph.set_fact(*id, fact);
            }
        }
        let names = ids.iter().map(|id| self.source.model().graph.name_of(*id));
        Ok(tap_outputs(&model, names)?.0)
    }

    /// Writes the quantized model.
    ///
    /// The activation of each product goes through `QuantizeLinear` and `DequantizeLinear`; all
    /// other nodes that read it still read the float tensor, unless it is the result of such a
    /// product itself. Weights become int8 per channel, each
    /// stored once however many nodes share it, and biases int32. Constants that the file also
    /// lists as inputs can no longer be given at run time.
    ///
    /// # Errors
    /// If a tensor has no range, or a weight is NaN or infinite.
    pub fn apply(&self, ranges: &Ranges) -> Result<(Model, Quantized), QuantError> {
        let inputs = self.activations();
        let mut out = Apply::new(self.source, self.settings.scheme, ranges, inputs)?;
        let absorbed: BTreeSet<NodeId> = self.sites.values().map(|(_, site)| site.last).collect();
        for (id, _) in self.source.model().graph.nodes() {
            match self.sites.get(&id) {
                Some((recipe, site)) => recipe.rewrite(site, &mut out)?,
                None if absorbed.contains(&id) => {}
                None => out.keep(id)?,
            }
        }
        Ok((out.finish()?, self.quantized.clone()))
    }
}
