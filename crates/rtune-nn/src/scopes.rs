use crate::{CustomOp, Operation, Param};
use std::cell::RefCell;
use std::collections::BTreeMap;

/// Names results by module path, the same way in every interpreter, so that they can be matched by
/// name.
///
/// The first `gelu` under `encoder.layer.0.intermediate` is `encoder.layer.0.intermediate/gelu`,
/// the second one has `_1` behind it.
///
/// ```
/// use rtune_nn::{BinaryOp, Scopes};
///
/// let scopes = Scopes::default();
/// assert_eq!(scopes.name(BinaryOp::Add), "add");
/// assert_eq!(scopes.name(BinaryOp::Add), "add_1");
/// ```
#[derive(Debug, Default)]
pub struct Scopes {
    path: RefCell<String>,
    counts: RefCell<BTreeMap<String, usize>>,
}

impl Scopes {
    /// The name of the next result of this operation in the current module.
    pub fn name(&self, operation: impl Into<Operation>) -> String {
        self.labeled(operation.into().label())
    }

    /// The name of the next result of a custom operator in the current module.
    pub fn custom(&self, op: &CustomOp) -> String {
        self.labeled(op.name())
    }

    /// The name of the result of the module that owns `param`.
    pub fn module(&self, param: &Param) -> String {
        self.unique(param.module().to_owned())
    }

    fn labeled(&self, label: &str) -> String {
        let path = self.path.borrow();
        let name = if path.is_empty() {
            label.to_owned()
        } else {
            format!("{path}/{label}")
        };
        self.unique(name)
    }

    /// `name` itself the first time, with a counter behind it after that.
    fn unique(&self, name: String) -> String {
        let mut counts = self.counts.borrow_mut();
        let count = counts.entry(name.clone()).or_default();
        *count += 1;
        if *count == 1 {
            name
        } else {
            format!("{name}_{}", *count - 1)
        }
    }
}

/// A guard: results are named under a module's path until it is dropped. See
/// [`Ops::scope`](crate::Ops::scope).
#[derive(Debug)]
#[must_use = "the module's scope ends where this guard is dropped"]
pub struct Scope<'a> {
    outer: Option<(&'a Scopes, String)>,
}

impl<'a> Scope<'a> {
    /// Enters the module with this full path; without names, does nothing.
    pub fn enter(scopes: Option<&'a Scopes>, path: &str) -> Self {
        Self {
            outer: scopes.map(|scopes| (scopes, scopes.path.replace(path.to_owned()))),
        }
    }
}

impl Drop for Scope<'_> {
    fn drop(&mut self) {
        if let Some((scopes, path)) = &mut self.outer {
            scopes.path.replace(std::mem::take(path));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{BinaryOp, UnaryOp};

    #[test]
    fn scopes_nest_and_count() {
        let scopes = Scopes::default();
        {
            let _outer = Scope::enter(Some(&scopes), "a");
            assert_eq!(scopes.name(BinaryOp::Add), "a/add");
            {
                let _inner = Scope::enter(Some(&scopes), "b");
                assert_eq!(scopes.name(BinaryOp::Add), "b/add");
                assert_eq!(scopes.name(Operation::MatMul), "b/matmul");
            }
            assert_eq!(scopes.name(BinaryOp::Add), "a/add_1");
            assert_eq!(scopes.name(UnaryOp::Exp), "a/exp");
        }
        assert_eq!(scopes.name(UnaryOp::Exp), "exp");
    }

    #[test]
    fn labels_are_distinct_in_each_group() {
        let labels = UnaryOp::ALL
            .map(UnaryOp::label)
            .into_iter()
            .chain(BinaryOp::ALL.map(BinaryOp::label))
            .chain(crate::CompareOp::ALL.map(crate::CompareOp::label))
            .chain(crate::ReduceOp::ALL.map(crate::ReduceOp::label));
        let mut seen = std::collections::BTreeSet::new();
        for label in labels {
            assert!(seen.insert(label), "{label} names two operations");
        }
    }
}
