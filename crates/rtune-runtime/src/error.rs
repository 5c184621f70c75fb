use std::path::PathBuf;

/// An error of loading the runtime or running a model.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RuntimeError {
    /// There is no such file.
    #[error("{}: the ONNX Runtime library is not there", .0.display())]
    Missing(PathBuf),
    /// The file is not a shared library.
    #[error("{}: not a shared library that can be loaded ({reason})", path.display())]
    NotALibrary {
        /// The file.
        path: PathBuf,
        /// The kind of the file, or the loader's message.
        reason: String,
    },
    /// The file is a part of a shared library, such as a download that was interrupted.
    #[error("{}: a part of this library is missing: {problem}; copy or download it again",
        path.display())]
    Incomplete {
        /// The file.
        path: PathBuf,
        /// The missing part.
        problem: String,
    },
    /// The file is a library, but another one.
    #[error(
        "{}: a shared library, but not ONNX Runtime: it exports no OrtGetApiBase",
        .0.display()
    )]
    NotOnnxRuntime(PathBuf),
    /// The library is too old.
    #[error(
        "{}: ONNX Runtime {found} is too old; {minimum} or newer is needed",
        path.display(),
        minimum = crate::MIN_VERSION
    )]
    TooOld {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: String,
    },
    /// The runtime does not accept a model.
    #[error("{model}: ONNX Runtime does not load the model: {reason}")]
    Model {
        /// The file or a description of the model.
        model: String,
        /// The runtime's message.
        reason: String,
    },
    /// A model has no such input or output, or one of another type.
    #[error("`{name}`: {problem}")]
    Tensor {
        /// The input or output.
        name: String,
        /// Expected and found.
        problem: String,
    },
    /// The runtime failed.
    #[error("{}ONNX Runtime failed: {reason}", beginning(model))]
    Run {
        /// The file of the model; empty if there is none.
        model: String,
        /// The runtime's message.
        reason: String,
    },
}

fn beginning(model: &str) -> String {
    match model {
        "" => String::new(),
        model => format!("{model}: "),
    }
}

impl RuntimeError {
    /// Returns true if the caller's library, model or tensor is the cause, and not the run itself.
    pub fn is_input(&self) -> bool {
        !matches!(self, Self::Run { .. })
    }

    pub(crate) fn run<T>(error: ort::Error<T>) -> Self {
        Self::Run {
            model: String::new(),
            reason: plain(&error.to_string()).to_owned(),
        }
    }

    /// A model that the runtime does not accept.
    pub(crate) fn model<T>(model: &str, error: &ort::Error<T>) -> Self {
        let reason = error.to_string();
        let loading = format!("Load model from {model} failed:");
        let reason = reason.strip_prefix(&loading).unwrap_or(&reason);
        Self::Model {
            model: match model {
                "" => "the model".to_owned(),
                model => model.to_owned(),
            },
            reason: plain(reason).to_owned(),
        }
    }
}

/// A message of the runtime without the place in its source and the signature of the function that
/// some messages begin with.
fn plain(message: &str) -> &str {
    let is_source = |word: &str| word.starts_with('/') && word.contains(':');
    if !message.split(' ').next().is_some_and(is_source) {
        return message;
    }
    let mut rest = message;
    while let Some(end) = end_of_parentheses(rest) {
        rest = &rest[end..];
        if !rest.starts_with('(') {
            break;
        }
    }
    let rest = rest.trim_start().trim_start_matches("const ");
    match rest.is_empty() {
        true => message,
        false => rest,
    }
}

/// The end of the first part in parentheses.
fn end_of_parentheses(text: &str) -> Option<usize> {
    let mut open = 0_usize;
    for (at, sign) in text.char_indices() {
        match sign {
            '(' => open += 1,
            ')' => {
                open = open.checked_sub(1)?;
                if open == 0 {
                    return Some(at + 1);
                }
            }
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_in_the_source_of_the_runtime_are_left_out() {
        for (message, expected) in [
            ("No Op registered for Odd", "No Op registered for Odd"),
            (
                "/src/core/a.h:46 void ns::f(const map<a, b>&, int) Opset 99",
                "Opset 99",
            ),
            (
                "/src/a.cc:7 auto f::operator()(const x&) const it (n) fails",
                "it (n) fails",
            ),
            ("/src/a.cc:7 void f(int)", "/src/a.cc:7 void f(int)"),
            ("/src/a.cc:7 )( odd", "/src/a.cc:7 )( odd"),
            ("", ""),
        ] {
            assert_eq!(plain(message), expected);
        }
    }
}
