//! This machine: the runtime library, processor features, CUDA.

use crate::{advice, runtime};
use rtune_runtime::MIN_VERSION;
use serde::Serialize;
use std::fmt;
use std::path::PathBuf;

/// The report on this machine. Its `Display` is for people.
#[derive(Debug, Serialize)]
pub(crate) struct MachineReport {
    version: u32,
    rtune: &'static str,
    pub(crate) runtime: RuntimeReport,
    threads: usize,
    /// Processor features that decide which kernels run.
    cpu_features: Vec<&'static str>,
    int8: &'static str,
    cuda: String,
}

/// The search for the runtime library.
#[derive(Debug, Serialize)]
pub(crate) struct RuntimeReport {
    path: Option<PathBuf>,
    found: Option<&'static str>,
    version: Option<String>,
    pub(crate) problem: Option<String>,
    searched: Vec<PathBuf>,
}

impl MachineReport {
    /// Looks at the machine and loads the runtime library.
    pub(crate) fn new(threads: usize) -> Self {
        let cpu_features = cpu_features();
        let has = |name: &str| cpu_features.contains(&name);
        let int8 = if has("avx512_vnni") || has("avx_vnni") {
            "VNNI: products of uint8 and int8 in 32 bits, the fastest"
        } else if has("avx2") {
            "AVX2 without VNNI: products in 16 bits; \
             rtune's weights are scaled so that they do not saturate"
        } else {
            "no integer kernels of note; int8 models may be slower than fp32"
        };
        Self {
            version: 1,
            rtune: env!("CARGO_PKG_VERSION"),
            runtime: RuntimeReport::find(),
            threads,
            int8,
            cuda: cuda(),
            cpu_features,
        }
    }
}

impl RuntimeReport {
    fn find() -> Self {
        let candidates = runtime::candidates();
        let searched = candidates.iter().map(|(path, _)| path.clone()).collect();
        let found = candidates
            .iter()
            .find(|(path, _)| path.is_file())
            .map(|(_, origin)| *origin);
        let path = runtime::find().ok();
        match runtime::load() {
            Ok(runtime) => Self {
                path,
                found,
                version: Some(runtime.version().to_owned()),
                problem: None,
                searched,
            },
            Err(error) => Self {
                path,
                found,
                version: None,
                problem: Some(advice::describe(std::iter::once(&error as _), None)),
                searched,
            },
        }
    }
}

impl fmt::Display for RuntimeReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let (Some(path), Some(version), None) = (&self.path, &self.version, &self.problem) {
            let origin = self.found.unwrap_or("found");
            return write!(f, "ONNX Runtime {version} at {} ({origin})", path.display());
        }
        let problem = self.problem.as_deref().unwrap_or("not found");
        write!(f, "{problem}\n             searched:")?;
        for path in &self.searched {
            write!(f, "\n             {}", path.display())?;
        }
        Ok(())
    }
}

impl fmt::Display for MachineReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "rtune        {}\n\
             runtime      {}\n             {MIN_VERSION} or newer is needed; \
             ORT_DYLIB_PATH names another library\n\
             threads      {}\n\
             processor    {}\n\
             int8         {}\n\
             cuda         {}",
            self.rtune,
            self.runtime,
            self.threads,
            self.cpu_features.join(" "),
            self.int8,
            self.cuda,
        )
    }
}

/// Returns the processor features that the kernels ask for and this processor has.
fn cpu_features() -> Vec<&'static str> {
    let mut features = Vec::new();
    #[cfg(target_arch = "x86_64")]
    {
        let known = [
            ("avx2", std::arch::is_x86_feature_detected!("avx2")),
            ("fma", std::arch::is_x86_feature_detected!("fma")),
            ("avx512f", std::arch::is_x86_feature_detected!("avx512f")),
            (
                "avx512_vnni",
                std::arch::is_x86_feature_detected!("avx512vnni"),
            ),
            (
                "avx512_bf16",
                std::arch::is_x86_feature_detected!("avx512bf16"),
            ),
            ("avx_vnni", std::arch::is_x86_feature_detected!("avxvnni")),
        ];
        features.extend(
            known
                .iter()
                .filter(|(_, found)| *found)
                .map(|(name, _)| *name),
        );
    }
    #[cfg(target_arch = "aarch64")]
    {
        let known = [
            (
                "dotprod",
                std::arch::is_aarch64_feature_detected!("dotprod"),
            ),
            ("i8mm", std::arch::is_aarch64_feature_detected!("i8mm")),
        ];
        features.extend(
            known
                .iter()
                .filter(|(_, found)| *found)
                .map(|(name, _)| *name),
        );
    }
    features
}

/// Returns the state of CUDA in this build and on this machine.
fn cuda() -> String {
    if !cfg!(feature = "cuda") {
        return "not built in; everything runs on the processor (build with --features cuda)"
            .to_owned();
    }
    match rtune_train::cuda_device(0, rtune_train::Products::default()) {
        Ok(_) => "device 0 is ready; the ONNX Runtime library runs on the processor".to_owned(),
        Err(error) => format!("built in, but not usable: {error}"),
    }
}
