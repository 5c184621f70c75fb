//! The search for the first value that differs.

use crate::trace::{Trace, tapped};
use crate::{Case, Comparison, Tolerance, VerifyError};
use rtune_graph::{Graph, Model};
use rtune_interrupt::Interrupt;
use rtune_runtime::{Runtime, SessionOptions};
use std::collections::{BTreeMap, BTreeSet};

/// Returns the first of `count` points in order of execution that diverges, found by bisection;
/// `None` if the last does not.
///
/// Once a run has diverged, later points do as well, so about log₂ `count` points are looked at.
///
/// # Errors
/// If `diverges` fails.
pub fn first_divergence<E>(
    count: usize,
    mut diverges: impl FnMut(usize) -> Result<bool, E>,
) -> Result<Option<usize>, E> {
    if count == 0 || !diverges(count - 1)? {
        return Ok(None);
    }
    let (mut low, mut high) = (0, count - 1);
    while low < high {
        let middle = low + (high - low) / 2;
        if diverges(middle)? {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    Ok(Some(low))
}

/// A candidate on the case on which it differs.
pub(crate) struct Search<'a> {
    pub(crate) runtime: &'a Runtime,
    pub(crate) model: &'a Model,
    pub(crate) case: &'a Case,
    /// The output that differs.
    pub(crate) output: &'a str,
    pub(crate) options: SessionOptions,
    pub(crate) tolerance: Tolerance,
    pub(crate) interrupt: &'a Interrupt,
}

impl Search<'_> {
    /// Returns the first value in the candidate's graph that differs from the reference's.
    ///
    /// Bisection over the values that the output follows from, in the order of execution, one at a
    /// time, so that the runtime's fusions stay as they are elsewhere. Branches of a graph run side
    /// by side, so the value found may still read from one that differs: the search then continues
    /// there, until nothing that a value reads differs.
    pub(crate) fn first_node(&self, expected: &Trace) -> Result<Option<String>, VerifyError> {
        let ancestors = ancestors(&self.model.graph, self.output);
        let is_ancestor = |entry: &&(String, _)| ancestors.contains(entry.0.as_str());
        let expected: Vec<_> = expected.iter().filter(is_ancestor).collect();
        let places: BTreeMap<&str, usize> = expected
            .iter()
            .enumerate()
            .map(|(index, (name, _))| (name.as_str(), index))
            .collect();
        let mut known: BTreeMap<usize, bool> = BTreeMap::new();
        let mut diverges = |index: usize| -> Result<bool, VerifyError> {
            if let Some(known) = known.get(&index) {
                return Ok(*known);
            }
            let differs = self.differs(expected[index])?;
            known.insert(index, differs);
            Ok(differs)
        };
        let Some(mut place) = first_divergence(expected.len(), &mut diverges)? else {
            return Ok(None);
        };
        'search: loop {
            for parent in traced_parents(&self.model.graph, &expected[place].0, &places) {
                if diverges(parent)? {
                    place = parent;
                    continue 'search;
                }
            }
            return Ok(Some(expected[place].0.clone()));
        }
    }

    fn differs(&self, (name, expected): &(String, Vec<f32>)) -> Result<bool, VerifyError> {
        self.interrupt.check()?;
        let found = tapped(self.runtime, self.model, self.case, &[name], &self.options)?;
        let tolerance = self.tolerance.scaled_to(expected);
        Ok(!Comparison::of(expected, &found.concat(), tolerance).holds())
    }
}

/// Returns the names of an output and of all values that it follows from.
fn ancestors<'a>(graph: &'a Graph, output: &str) -> BTreeSet<&'a str> {
    let mut found = BTreeSet::new();
    let mut open: Vec<_> = graph.find(output).into_iter().collect();
    while let Some(id) = open.pop() {
        if !found.insert(graph.name_of(id)) {
            continue;
        }
        if let Some(node) = graph.producer(id) {
            open.extend(graph.node(node).inputs.iter().flatten());
        }
    }
    found
}

/// Returns the nearest values before a value that have a reference.
fn traced_parents(graph: &Graph, name: &str, places: &BTreeMap<&str, usize>) -> Vec<usize> {
    let mut parents = Vec::new();
    let mut open: Vec<_> = graph.find(name).into_iter().collect();
    while let Some(id) = open.pop() {
        let Some(node) = graph.producer(id) else {
            continue;
        };
        for input in graph.node(node).inputs.iter().flatten() {
            match places.get(graph.name_of(*input)) {
                Some(place) => parents.push(*place),
                None => open.push(*input),
            }
        }
    }
    parents.sort_unstable();
    parents.dedup();
    parents
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bisection_finds_every_place_in_few_looks() {
        for first in 0..100 {
            let mut looks = 0;
            let found = first_divergence::<()>(100, |i| {
                looks += 1;
                Ok(i >= first)
            });
            assert_eq!(found, Ok(Some(first)));
            assert!(looks <= 8);
        }
        assert_eq!(first_divergence::<()>(100, |_| Ok(false)), Ok(None));
        assert_eq!(first_divergence(3, |_| Err("failed")), Err("failed"));
    }
}
