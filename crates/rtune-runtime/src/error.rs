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
    #[error("{}`{name}`: {problem}", beginning(model))]
    Tensor {
        /// The file of the model; empty if there is none.
        model: String,
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
        Self::run_of("", error)
    }

    /// A failure of the runtime with the model of a file.
    pub(crate) fn run_of<T>(file: &str, error: ort::Error<T>) -> Self {
        Self::Run {
            model: file.to_owned(),
            reason: plain(&error.to_string()),
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
            reason: plain(reason),
        }
    }
}

/// A message of the runtime without places in its source, the functions there, and its own codes.
fn plain(message: &str) -> String {
    let mut text = message.to_owned();
    while let Some((start, word)) = place_in_source(&text) {
        let after = text[start + word.len()..].trim_start();
        // A path comes with the whole signature of a function, a file with its name.
        let rest = match word.starts_with('/') {
            true => after_signature(after),
            false => after.split_once(' ').map_or("", |(_, rest)| rest),
        };
        text = format!("{}{rest}", &text[..start]);
    }
    const CODE: &str = "[ONNXRuntimeError] : ";
    if let Some((before, after)) = text.split_once(CODE) {
        let rest = after.splitn(3, " : ").last().unwrap_or(after);
        text = format!("{before}{rest}");
    }
    match text.trim().is_empty() {
        true => message.to_owned(),
        false => text,
    }
}

/// The first word such as `file.cc:7`, and its start.
fn place_in_source(text: &str) -> Option<(usize, &str)> {
    let is_place = |word: &str| {
        let line = word.split_once(".cc:").or_else(|| word.split_once(".h:"));
        line.is_some_and(|(_, line)| line.starts_with(|c: char| c.is_ascii_digit()))
    };
    let mut start = 0;
    for word in text.split(' ') {
        if is_place(word) {
            return Some((start, word));
        }
        start += word.len() + 1;
    }
    None
}

/// The text after the signature of a function; empty if it ends with it.
fn after_signature(text: &str) -> &str {
    let mut rest = text;
    while let Some(end) = end_of_parentheses(rest) {
        rest = &rest[end..];
        if !rest.starts_with('(') {
            break;
        }
    }
    rest.trim_start().trim_start_matches("const ")
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
            ("/src/a.cc:7 )( odd", ")( odd"),
            (
                "Error: a.cc:61 Check there is no file",
                "Error: there is no file",
            ),
            (
                "At start: /src/a.cc:5 A::A(int) [ONNXRuntimeError] : 1 : FAIL : b.cc:2 F w : cut",
                "At start: w : cut",
            ),
            ("version 1.h:", "version 1.h:"),
            ("", ""),
        ] {
            assert_eq!(plain(message), expected);
        }
    }
}
