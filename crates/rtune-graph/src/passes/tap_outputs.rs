use crate::{GraphError, Model};

/// The model with the values named in `names` as further outputs, after its own.
///
/// A value that is an output already stays where it is.
///
/// # Errors
/// Where the graph has no such value, or does not know its type.
pub fn tap_outputs<'a>(
    model: &Model,
    names: impl IntoIterator<Item = &'a str>,
) -> Result<Model, GraphError> {
    let mut tapped = model.clone();
    for name in names {
        let place = || format!("value `{name}`");
        let id = tapped
            .graph
            .find(name)
            .ok_or_else(|| GraphError::new(place(), "is not in the graph"))?;
        if tapped.graph.value(id).fact.is_none() {
            return Err(GraphError::new(
                place(),
                "has no known type, so it cannot become an output",
            ));
        }
        if !tapped.graph.outputs().contains(&id) {
            tapped.graph.add_output(id)?;
        }
    }
    Ok(tapped)
}
