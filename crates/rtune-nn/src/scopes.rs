use std::cell::RefCell;
use std::collections::BTreeMap;

/// Names operations by module path, the same way in every interpreter, so that results can be
/// matched by name.
///
/// The first `gelu` under `encoder.layer.0.intermediate` is `encoder.layer.0.intermediate/gelu`,
/// the second one has `_1` behind it.
#[derive(Debug, Default)]
pub struct Scopes {
    path: RefCell<String>,
    counts: RefCell<BTreeMap<String, usize>>,
}

impl Scopes {
    /// Enters a module, known by its full path; returns the path to give back to [`Scopes::leave`].
    pub fn enter(&self, path: &str) -> String {
        self.path.replace(path.to_owned())
    }

    /// Returns to the path that [`Scopes::enter`] gave.
    pub fn leave(&self, previous: String) {
        self.path.replace(previous);
    }

    /// The name of the next operation of this kind in the current module.
    pub fn next(&self, operation: &str) -> String {
        let path = self.path.borrow();
        let name = if path.is_empty() {
            operation.to_owned()
        } else {
            format!("{path}/{operation}")
        };
        self.unique(name)
    }

    /// `name` itself the first time, with a counter behind it after that.
    pub fn unique(&self, name: String) -> String {
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
