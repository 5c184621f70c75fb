//! Batches from safetensors files.

use super::{Batch, Values};
use crate::{QuantError, Quantizable};
use rtune_graph::{ElementType, Fact, Graph};
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use std::path::{Path, PathBuf};

/// Element types that an input may have.
const SUPPORTED: [ElementType; 5] = [
    ElementType::Float32,
    ElementType::Int64,
    ElementType::Int32,
    ElementType::Uint8,
    ElementType::Bool,
];

/// Returns the safetensors files at `path`, sorted by name: the file itself, or those that the
/// folder holds. None if `path` is another file.
///
/// # Errors
/// If the folder cannot be read.
pub fn sample_files(path: &Path) -> Result<Vec<PathBuf>, QuantError> {
    let is_sample = |path: &PathBuf| {
        path.extension()
            .is_some_and(|e| e.eq_ignore_ascii_case("safetensors"))
    };
    if !path.is_dir() {
        return Ok(Some(path.to_owned())
            .filter(is_sample)
            .into_iter()
            .collect());
    }
    let io = |source| QuantError::Io {
        path: path.to_owned(),
        source,
    };
    let entries = std::fs::read_dir(path).map_err(io)?;
    let paths = entries.map(|entry| Ok(entry.map_err(io)?.path()));
    let mut files = paths.collect::<Result<Vec<_>, QuantError>>()?;
    files.retain(is_sample);
    files.sort();
    Ok(files)
}

impl Batch {
    /// Reads one run from a safetensors file with a tensor for each input of the model. int32
    /// stands for int64, and uint8 for bool. The batch counts as one sample.
    ///
    /// # Errors
    /// If the file cannot be read, has no tensor for an input of the model, or has it in another
    /// type or rank.
    pub fn read(path: &Path, source: &Quantizable) -> Result<Self, QuantError> {
        Self::read_for(path, &source.model().graph)
    }

    fn read_for(path: &Path, graph: &Graph) -> Result<Self, QuantError> {
        let bytes = std::fs::read(path).map_err(|source| QuantError::Io {
            path: path.to_owned(),
            source,
        })?;
        let problem = |problem: String| QuantError::Sample {
            path: path.to_owned(),
            problem,
        };
        let file = SafeTensors::deserialize(&bytes)
            .map_err(|e| problem(format!("not a safetensors file, or a truncated one ({e})")))?;
        let mut batch = Self::new(1);
        batch.origin = Some(path.to_owned());
        for input in graph.inputs() {
            let name = graph.name_of(*input);
            let view = file.tensor(name);
            let view = view.map_err(|_| problem(missing(name, &file)))?;
            let values = check(name, &view, graph.fact(*input)).map_err(problem)?;
            batch = batch.tensor(name, view.shape(), values);
        }
        Ok(batch)
    }
}

fn missing(name: &str, file: &SafeTensors<'_>) -> String {
    let quoted = file.names().into_iter().map(|name| format!("`{name}`"));
    let found: Vec<_> = quoted.collect();
    let found = if found.is_empty() {
        "none at all".to_owned()
    } else {
        found.join(", ")
    };
    format!("has no tensor for the model's input `{name}`; it has {found}")
}

/// Reads a tensor for an input of which `fact` is known, or says why it does not fit.
fn check(name: &str, view: &TensorView<'_>, fact: Option<&Fact>) -> Result<Values, String> {
    let wanted = fact.map(|fact| fact.element_type);
    let values = elements(view, wanted).ok_or_else(|| {
        let wanted = match fact {
            Some(fact) if SUPPORTED.contains(&fact.element_type) => {
                format!("the model's input is {fact}")
            }
            Some(Fact { element_type, .. }) => {
                format!("inputs of type {element_type} are not supported for calibration")
            }
            None => "supported are F32, I64, I32, U8 and BOOL".to_owned(),
        };
        format!("tensor `{name}` has type {:?}; {wanted}", view.dtype())
    })?;
    match fact {
        Some(fact) if fact.rank().is_some_and(|rank| rank != view.shape().len()) => Err(format!(
            "tensor `{name}` has shape {:?}; the model's input is {fact}",
            view.shape()
        )),
        _ => Ok(values),
    }
}

/// The elements, if they have the wanted type or fit into it without loss.
fn elements(view: &TensorView<'_>, wanted: Option<ElementType>) -> Option<Values> {
    let bytes = view.data();
    let values = match (view.dtype(), wanted) {
        (Dtype::F32, _) => Values::F32(each(bytes, f32::from_le_bytes)),
        (Dtype::I32, Some(ElementType::Int64)) => {
            Values::I64(each(bytes, |b| i64::from(i32::from_le_bytes(b))))
        }
        (Dtype::I64, _) => Values::I64(each(bytes, i64::from_le_bytes)),
        (Dtype::I32, _) => Values::I32(each(bytes, i32::from_le_bytes)),
        (Dtype::U8, Some(ElementType::Bool)) | (Dtype::BOOL, _) => {
            Values::Bool(each(bytes, |[b]| b != 0))
        }
        (Dtype::U8, _) => Values::U8(bytes.to_vec()),
        _ => return None,
    };
    let fits = wanted.is_none_or(|wanted| wanted == values.element_type());
    fits.then_some(values)
}

fn each<T, const N: usize>(bytes: &[u8], value: impl Fn([u8; N]) -> T) -> Vec<T> {
    let chunks = bytes.as_chunks::<N>().0.iter();
    chunks.map(|chunk| value(*chunk)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rtune_graph::Dim;

    /// Writes one tensor `x` to a file.
    fn write(path: &Path, name: &str, dtype: Dtype, shape: &[usize], bytes: &[u8]) {
        let view = TensorView::new(dtype, shape.to_vec(), bytes).unwrap();
        safetensors::serialize_to_file([(name, view)], None, path).unwrap();
    }

    /// A graph with one input `x`.
    fn graph(element_type: ElementType) -> Graph {
        let mut graph = Graph::new("test");
        let fact = Fact::new(element_type, [Dim::symbol("n"), Dim::Fixed(2)]);
        graph.add_input("x", fact).unwrap();
        graph
    }

    #[test]
    fn types_that_fit_without_loss_are_taken() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.safetensors");
        let ints: Vec<u8> = [7_i32, -1].iter().flat_map(|v| v.to_le_bytes()).collect();
        for (dtype, bytes, wanted, expected) in [
            (
                Dtype::I32,
                &ints[..],
                ElementType::Int32,
                Values::I32(vec![7, -1]),
            ),
            (
                Dtype::I32,
                &ints,
                ElementType::Int64,
                Values::I64(vec![7, -1]),
            ),
            (
                Dtype::U8,
                &[1, 0],
                ElementType::Uint8,
                Values::U8(vec![1, 0]),
            ),
            (
                Dtype::U8,
                &[1, 0],
                ElementType::Bool,
                Values::Bool(vec![true, false]),
            ),
        ] {
            write(&path, "x", dtype, &[1, 2], bytes);
            let batch = Batch::read_for(&path, &graph(wanted)).unwrap();
            let mut same = Batch::new(1).tensor("x", [1, 2], expected);
            same.origin = Some(path.clone());
            assert_eq!(batch, same);
        }
    }

    #[test]
    fn errors_name_the_file_the_tensor_and_what_the_model_wants() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.safetensors");
        let floats = [0_u8; 8];
        for (name, shape, bytes, wanted, expected) in [
            (
                "y",
                &[1, 2][..],
                &floats[..],
                ElementType::Float32,
                "has no tensor for the model's input `x`; it has `y`",
            ),
            (
                "x",
                &[2],
                &floats,
                ElementType::Float32,
                "tensor `x` has shape [2]; the model's input is f32[n, 2]",
            ),
            (
                "x",
                &[1, 2],
                &floats,
                ElementType::Int64,
                "tensor `x` has type F32; the model's input is i64[n, 2]",
            ),
            (
                "x",
                &[1, 2],
                &floats,
                ElementType::Float64,
                "tensor `x` has type F32; inputs of type f64 are not supported for calibration",
            ),
        ] {
            write(&path, name, Dtype::F32, shape, bytes);
            let error = Batch::read_for(&path, &graph(wanted)).unwrap_err();
            assert_eq!(error.to_string(), format!("{}: {expected}", path.display()));
        }
        std::fs::write(&path, [9, 0, 0, 0]).unwrap();
        let error = Batch::read_for(&path, &graph(ElementType::Float32)).unwrap_err();
        assert!(
            error.to_string().contains("not a safetensors file"),
            "{error}"
        );
        let absent = folder.path().join("absent.safetensors");
        let error = Batch::read_for(&absent, &graph(ElementType::Float32)).unwrap_err();
        assert!(matches!(error, QuantError::Io { .. }), "{error}");
    }

    #[test]
    fn files_of_a_folder_are_sorted_and_others_are_skipped() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["b.safetensors", "a.SafeTensors", "c.txt"] {
            std::fs::write(folder.path().join(name), []).unwrap();
        }
        let names = |path: &Path| -> Vec<_> {
            let files = sample_files(path).unwrap();
            files
                .iter()
                .map(|f| f.file_name().unwrap().to_owned())
                .collect()
        };
        assert_eq!(names(folder.path()), ["a.SafeTensors", "b.safetensors"]);
        assert_eq!(
            names(&folder.path().join("b.safetensors")),
            ["b.safetensors"]
        );
        assert!(names(&folder.path().join("c.txt")).is_empty());
    }
}
