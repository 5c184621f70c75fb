use super::{Context, Inference, Stop};
use crate::facts::Known;
use crate::{Attribute, AttributeKind, Fact, GraphError, GraphErrorKind, Node};

/// The oldest operator set of the standard domain that the rows describe.
pub(crate) const OLDEST_OPSET: i64 = 7;

/// No limit on the number of inputs or outputs.
pub(crate) const MANY: usize = usize::MAX;

/// A row: an operator with its forms and its inference.
#[derive(Debug, Clone, Copy)]
pub struct Operator {
    /// The operator's name.
    pub name: &'static str,
    /// The operator set's domain; the standard one is the empty string.
    pub domain: &'static str,
    /// The forms, oldest first. Each holds until the next one.
    pub forms: &'static [Form],
    infer: fn(&Context<'_>) -> Inference,
}

/// The form of an operator's nodes from one operator set on.
#[derive(Debug, Clone, Copy)]
pub struct Form {
    /// The first operator set of the form.
    pub since: i64,
    /// The fewest and the most inputs; `usize::MAX` is no limit. Inputs beyond the fewest may be
    /// omitted.
    pub inputs: [usize; 2],
    /// The fewest and the most outputs; `usize::MAX` is no limit.
    pub outputs: [usize; 2],
    /// The attributes.
    pub attributes: &'static [AttributeRule],
}

/// An attribute of a form.
#[derive(Debug, Clone, Copy)]
pub struct AttributeRule {
    /// The attribute's name.
    pub name: &'static str,
    /// The attribute's type.
    pub kind: AttributeKind,
    /// The value of a node that does not have the attribute.
    pub default: AttributeDefault,
}

/// The value of an attribute that a node does not have.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum AttributeDefault {
    /// A node must have the attribute.
    Required,
    /// The attribute has no default; its absence has a meaning of its own.
    Absent,
    /// An integer.
    Int(i64),
    /// A float.
    Float(f32),
    /// A string.
    Text(&'static str),
}

pub(crate) const fn form(
    since: i64,
    inputs: [usize; 2],
    outputs: [usize; 2],
    attributes: &'static [AttributeRule],
) -> Form {
    Form {
        since,
        inputs,
        outputs,
        attributes,
    }
}

const fn rule(name: &'static str, kind: AttributeKind, default: AttributeDefault) -> AttributeRule {
    AttributeRule {
        name,
        kind,
        default,
    }
}

pub(crate) const fn int(name: &'static str, default: i64) -> AttributeRule {
    rule(name, AttributeKind::Int, AttributeDefault::Int(default))
}

pub(crate) const fn float(name: &'static str, default: f32) -> AttributeRule {
    rule(name, AttributeKind::Float, AttributeDefault::Float(default))
}

pub(crate) const fn text(name: &'static str, default: &'static str) -> AttributeRule {
    rule(name, AttributeKind::String, AttributeDefault::Text(default))
}

pub(crate) const fn required(name: &'static str, kind: AttributeKind) -> AttributeRule {
    rule(name, kind, AttributeDefault::Required)
}

pub(crate) const fn optional(name: &'static str, kind: AttributeKind) -> AttributeRule {
    rule(name, kind, AttributeDefault::Absent)
}

impl Operator {
    /// A row of the standard domain.
    pub(crate) const fn new(
        name: &'static str,
        forms: &'static [Form],
        infer: fn(&Context<'_>) -> Inference,
    ) -> Self {
        Self {
            name,
            domain: "",
            forms,
            infer,
        }
    }

    /// A row of ONNX Runtime's contributed operators.
    pub(crate) const fn contrib(
        name: &'static str,
        forms: &'static [Form],
        infer: fn(&Context<'_>) -> Inference,
    ) -> Self {
        Self {
            domain: "com.microsoft",
            ..Self::new(name, forms, infer)
        }
    }

    /// The form in an operator set, or `None` if the operator is newer.
    pub fn form(&self, opset: i64) -> Option<&'static Form> {
        self.forms.iter().rev().find(|form| form.since <= opset)
    }

    /// The first operator set that has the operator.
    pub fn since(&self) -> i64 {
        self.forms.first().map_or(1, |form| form.since)
    }

    /// The form of a node, if the node has the form that the operator set asks for. `omitted` has
    /// one entry for each output.
    pub(crate) fn check(
        &self,
        node: &Node,
        opset: i64,
        omitted: &[bool],
    ) -> Result<&'static Form, GraphError> {
        let form = self.checked_form(node, opset, omitted);
        form.map_err(|kind| GraphError::node(node, kind))
    }

    fn checked_form(
        &self,
        node: &Node,
        opset: i64,
        omitted: &[bool],
    ) -> Result<&'static Form, GraphErrorKind> {
        let form = self.form(opset).ok_or(GraphErrorKind::OperatorSet {
            since: self.since(),
            found: opset,
        })?;
        for (name, attribute) in &node.attributes {
            self.check_attribute(form, opset, name, attribute)?;
        }
        let required = |rule: &&AttributeRule| rule.default == AttributeDefault::Required;
        for rule in form.attributes.iter().filter(required) {
            if !node.attributes.contains_key(rule.name) {
                return Err(GraphErrorKind::MissingAttribute(rule.name.to_owned()));
            }
        }
        let inputs: Vec<bool> = node.inputs.iter().map(Option::is_none).collect();
        let count = |[min, max]: [usize; 2], slots: &[bool]| {
            let (max, found) = (Some(max).filter(|max| *max != MANY), slots.len());
            let fits = found >= min && max.is_none_or(|max| found <= max);
            (!fits).then_some((min, max, found))
        };
        if let Some((min, max, found)) = count(form.inputs, &inputs) {
            return Err(GraphErrorKind::Inputs { min, max, found });
        }
        if let Some((min, max, found)) = count(form.outputs, omitted) {
            return Err(GraphErrorKind::Outputs { min, max, found });
        }
        if let Some(index) = inputs.iter().take(form.inputs[0]).position(|o| *o) {
            return Err(GraphErrorKind::Omitted {
                what: "input",
                index,
            });
        }
        Ok(form)
    }

    fn check_attribute(
        &self,
        form: &Form,
        opset: i64,
        name: &str,
        attribute: &Attribute,
    ) -> Result<(), GraphErrorKind> {
        let Some(rule) = form.attribute(name) else {
            return self.check_unknown_attribute(form, opset, name);
        };
        if rule.kind == attribute.kind() {
            return Ok(());
        }
        Err(GraphErrorKind::AttributeType {
            name: name.to_owned(),
            expected: rule.kind,
            found: attribute.kind(),
        })
    }

    fn check_unknown_attribute(
        &self,
        form: &Form,
        opset: i64,
        name: &str,
    ) -> Result<(), GraphErrorKind> {
        let has = |form: &&Form| form.attribute(name).is_some();
        let older = |other: &&Form| other.since < form.since;
        if let Some(old) = self.forms.iter().rev().filter(older).find(has) {
            // The form after it is the one that dropped the attribute.
            let next = self.forms.iter().find(|other| other.since > old.since);
            return Err(GraphErrorKind::OldForm {
                changed: next.map_or(form.since, |next| next.since),
                found: opset,
            });
        }
        if let Some(new) = self.forms.iter().find(has) {
            return Err(GraphErrorKind::NewAttribute {
                name: name.to_owned(),
                since: new.since,
                found: opset,
            });
        }
        // The rows of contributed operators list only the attributes that inference needs.
        match self.domain.is_empty() {
            true => Err(GraphErrorKind::UnknownAttribute(name.to_owned())),
            false => Ok(()),
        }
    }

    /// Everything known of the outputs; maybe of fewer than the node has.
    pub(crate) fn infer(&self, context: &Context<'_>) -> Result<Vec<Known>, GraphError> {
        match (self.infer)(context) {
            Ok(known) => Ok(known),
            Err(Stop::Unknown) => Ok(Vec::new()),
            Err(Stop::Unranked(element_type)) => Ok(vec![Fact::unranked(element_type).into()]),
            Err(Stop::Error(kind)) => Err(GraphError::node(context.node(), *kind)),
        }
    }
}

impl Form {
    /// The rule for an attribute, if the form has it.
    pub fn attribute(&self, name: &str) -> Option<&AttributeRule> {
        self.attributes.iter().find(|rule| rule.name == name)
    }
}

#[cfg(test)]
mod tests {
    use crate::operators::{operator, operators};
    use crate::{AttributeDefault, AttributeKind, NodeDraft};
    use std::collections::BTreeSet;

    #[test]
    fn rows_are_unique_and_forms_ascend() {
        let mut seen = BTreeSet::new();
        for row in operators() {
            assert!(seen.insert((row.domain, row.name)), "{} twice", row.name);
            assert!(!row.forms.is_empty(), "{} has no form", row.name);
            assert!(
                row.forms.is_sorted_by(|a, b| a.since < b.since),
                "{}",
                row.name
            );
            for form in row.forms {
                assert!(form.inputs[0] <= form.inputs[1], "{}", row.name);
                assert!(form.outputs[0] <= form.outputs[1], "{}", row.name);
                let names: BTreeSet<_> = form.attributes.iter().map(|rule| rule.name).collect();
                assert_eq!(names.len(), form.attributes.len(), "{}", row.name);
                for rule in form.attributes {
                    let fits = match rule.default {
                        AttributeDefault::Int(_) => rule.kind == AttributeKind::Int,
                        AttributeDefault::Float(_) => rule.kind == AttributeKind::Float,
                        AttributeDefault::Text(_) => rule.kind == AttributeKind::String,
                        AttributeDefault::Required | AttributeDefault::Absent => true,
                    };
                    assert!(fits, "{}: default of `{}`", row.name, rule.name);
                }
            }
        }
    }

    #[test]
    fn forms_hold_until_the_next_one() {
        let reduce = operator("", "ReduceMean").unwrap();
        let inputs = |opset| reduce.form(opset).unwrap().inputs;
        assert_eq!((inputs(13), inputs(17)), ([1, 1], [1, 1]));
        assert_eq!((inputs(18), inputs(22)), ([1, 2], [1, 2]));
        assert!(
            operator("", "LayerNormalization")
                .unwrap()
                .form(16)
                .is_none()
        );
        assert!(operator("com.microsoft", "ReduceMean").is_none());
        assert!(operator("", "NoSuchOperator").is_none());
    }

    #[test]
    fn forms_are_checked() {
        let check = |opset, draft: NodeDraft| {
            let row = operator("", &draft.node.op_type).unwrap();
            let outputs = vec![false; draft.outputs.len()];
            let form = row.check(&draft.node, opset, &outputs);
            form.map_or_else(|e| e.to_string(), |form| format!("form {}", form.since))
        };
        let x = crate::Graph::new("test").add_input("x", None).unwrap();
        let node = |op_type: &str| NodeDraft::new(op_type, "n").inputs([x]);
        let mean = || node("ReduceMean").attribute("axes", vec![0_i64]);
        for (opset, draft, expected) in [
            (17, mean(), "form 1"),
            (
                18,
                mean(),
                "node `n` (ReduceMean): has the form of operator sets before 18, the model has 18",
            ),
            (
                17,
                node("ReduceMean").attribute("noop_with_empty_axes", 1_i64),
                "node `n` (ReduceMean): attribute `noop_with_empty_axes` needs operator set 18, \
                 the model has 17",
            ),
            (
                16,
                NodeDraft::new("LayerNormalization", "n").inputs([x, x]),
                "node `n` (LayerNormalization): needs operator set 17, the model has 16",
            ),
            (
                17,
                node("Concat").attribute("axis", 0.5_f32),
                "node `n` (Concat): attribute `axis` must be an int, found a float",
            ),
            (
                17,
                node("Concat"),
                "node `n` (Concat): needs the attribute `axis`",
            ),
            (
                17,
                node("Concat")
                    .attribute("axis", 0_i64)
                    .attribute("axes", 0_i64),
                "node `n` (Concat): has no attribute `axes`",
            ),
            (
                17,
                node("Relu").inputs([x, x]),
                "node `n` (Relu): takes 1 to 1 inputs, found 2",
            ),
            (
                17,
                node("Concat").inputs([x; 0]).attribute("axis", 0_i64),
                "node `n` (Concat): takes 1 or more inputs, found 0",
            ),
            (
                17,
                node("Gather").inputs([None, Some(x)]),
                "node `n` (Gather): input 0 is missing",
            ),
            (
                17,
                node("Relu").outputs(["a", "b"]),
                "node `n` (Relu): has 1 to 1 outputs, found 2",
            ),
        ] {
            assert_eq!(check(opset, draft), expected);
        }
    }
}
