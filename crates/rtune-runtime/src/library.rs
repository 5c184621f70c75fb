use crate::{RuntimeError, Session, SessionOptions, image};
use ort::environment::Environment;
use ort::logging::LogLevel;
use std::error::Error as _;
use std::ffi::{CStr, c_char, c_void};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The oldest ONNX Runtime that works.
pub const MIN_VERSION: &str = "1.24";
const MIN_MINOR: u32 = 24;

/// A loaded ONNX Runtime. A process can have one: loading a second one is an error.
#[derive(Debug)]
pub struct Runtime {
    environment: Environment,
    path: PathBuf,
    version: String,
}

/// The first two members of ONNX Runtime's entry structure, which never change.
#[repr(C)]
struct ApiBase {
    get_api: extern "C" fn(u32) -> *const c_void,
    get_version_string: extern "C" fn() -> *const c_char,
}

/// Returns the version of the ONNX Runtime library at `path`, such as `1.32.0`.
///
/// # Errors
/// If the file is missing, is not a whole library, or is not ONNX Runtime.
#[expect(
    unsafe_code,
    reason = "a shared library can be asked for its version only by loading it and calling it"
)]
pub fn library_version(path: &Path) -> Result<String, RuntimeError> {
    if !path.is_file() {
        return Err(RuntimeError::Missing(path.to_owned()));
    }
    image::check(path)?;
    let not_a_library = |e: libloading::Error| RuntimeError::NotALibrary {
        path: path.to_owned(),
        // The cause is the system's message.
        reason: e
            .source()
            .map_or_else(|| e.to_string(), ToString::to_string),
    };
    // SAFETY: loading runs the library's initializers; the user named this file as the runtime to
    // load.
    let library = unsafe { libloading::Library::new(path) }.map_err(not_a_library)?;
    // SAFETY: the symbol has this type in every release of ONNX Runtime.
    let entry = unsafe { library.get::<extern "C" fn() -> *const ApiBase>(b"OrtGetApiBase") };
    let entry = entry.map_err(|_| RuntimeError::NotOnnxRuntime(path.to_owned()))?;
    let base = entry();
    if base.is_null() {
        return Err(RuntimeError::NotOnnxRuntime(path.to_owned()));
    }
    // SAFETY: the structure and the string it gives are static data of the library, which is still
    // loaded.
    let version = unsafe { CStr::from_ptr(((*base).get_version_string)()) };
    Ok(version.to_string_lossy().into_owned())
}

/// Returns true for versions from [`MIN_VERSION`] on; false for text that is not a version.
fn is_new_enough(version: &str) -> bool {
    let mut parts = version.split('.').map(|part| part.parse::<u32>().ok());
    match (parts.next().flatten(), parts.next().flatten()) {
        (Some(major), Some(minor)) => (major, minor) >= (1, MIN_MINOR),
        _ => false,
    }
}

impl Runtime {
    /// Loads the library at `path` after a preflight. The library keeps its log to itself.
    ///
    /// Its events for its maker are disabled, but it writes a file `.ses` for them to the folder of
    /// temporary files before that. A program prevents this with the variable
    /// `ORT_DISABLE_TELEMETRY=1`.
    ///
    /// # Errors
    /// If the file is missing, is not a whole library, is not ONNX Runtime, or is too old.
    pub fn load(path: &Path) -> Result<Self, RuntimeError> {
        let path = path
            .canonicalize()
            .map_err(|_| RuntimeError::Missing(path.to_owned()))?;
        let version = library_version(&path)?;
        if !is_new_enough(&version) {
            return Err(RuntimeError::TooOld {
                path,
                found: version,
            });
        }
        let builder = ort::init_from(&path).map_err(|e| RuntimeError::NotALibrary {
            path: path.clone(),
            reason: e.to_string(),
        })?;
        // Its warnings are about its optimizer, and errors come back as errors: a line of its log
        // would be a second message. It writes some of the log before a level can be set.
        let environment = builder
            .with_telemetry(false)
            .with_logger(Arc::new(|_, _, _, _, _| {}))
            .build()
            .map_err(RuntimeError::run)?;
        environment.set_log_level(LogLevel::Fatal);
        Ok(Self {
            environment,
            path,
            version,
        })
    }

    /// Returns the library's path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the library's version.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Opens a model file.
    ///
    /// # Errors
    /// If the runtime does not accept it.
    pub fn open(&self, model: &Path, options: &SessionOptions) -> Result<Session, RuntimeError> {
        if !model.is_file() {
            return Err(RuntimeError::Model {
                model: model.display().to_string(),
                reason: "no such file".to_owned(),
            });
        }
        Session::open(&self.environment, model, options)
    }

    /// Opens a model from its bytes.
    ///
    /// # Errors
    /// If the runtime does not accept it.
    pub fn open_bytes(
        &self,
        model: &[u8],
        options: &SessionOptions,
    ) -> Result<Session, RuntimeError> {
        Session::open_bytes(&self.environment, model, String::new(), options)
    }

    /// Opens a model from bytes that were made of a file, which errors name.
    ///
    /// # Errors
    /// If the runtime does not accept it.
    pub fn open_bytes_of(
        &self,
        file: &Path,
        model: &[u8],
        options: &SessionOptions,
    ) -> Result<Session, RuntimeError> {
        let file = file.display().to_string();
        Session::open_bytes(&self.environment, model, file, options)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_as_numbers() {
        let cases = [
            ("1.24.0", true),
            ("1.32.0", true),
            ("1.100.0-rc1", true),
            ("2.0.0", true),
            ("1.9.0", false),
            ("1.23.2", false),
            ("0.99.0", false),
            ("1", false),
            ("new", false),
            ("", false),
        ];
        for (version, expected) in cases {
            assert_eq!(is_new_enough(version), expected, "{version}");
        }
        assert!(is_new_enough(MIN_VERSION));
    }
}
