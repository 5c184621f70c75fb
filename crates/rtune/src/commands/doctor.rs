use crate::cli::Common;
use crate::console::result;
use crate::runtime;
use anyhow::Result;
use clap::Args;
use rtune_runtime::MIN_VERSION;
use serde::Serialize;
use std::path::PathBuf;
use std::process::ExitCode;

/// Report on this machine: runtime library, processor features, CUDA
#[derive(Debug, Args)]
pub(crate) struct Doctor {
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, Serialize)]
struct Report {
    rtune: &'static str,
    runtime: RuntimeReport,
    threads: usize,
    /// Features that decide which kernels run.
    cpu_features: Vec<&'static str>,
    int8: &'static str,
    cuda: String,
}

#[derive(Debug, Serialize)]
struct RuntimeReport {
    path: Option<PathBuf>,
    found: Option<&'static str>,
    version: Option<String>,
    problem: Option<String>,
    searched: Vec<PathBuf>,
}

impl Doctor {
    pub(crate) fn run(&self) -> Result<ExitCode> {
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
        let report = Report {
            rtune: env!("CARGO_PKG_VERSION"),
            runtime: RuntimeReport::new(),
            threads: self.common.threads(),
            int8,
            cuda: cuda(),
            cpu_features,
        };
        result(self.common.json, &report, || report.to_text())?;
        Ok(match report.runtime.problem {
            None => ExitCode::SUCCESS,
            Some(_) => ExitCode::from(2),
        })
    }
}

impl RuntimeReport {
    fn new() -> Self {
        let candidates = runtime::candidates();
        let searched = candidates.iter().map(|(path, _)| path.clone()).collect();
        let found = candidates
            .iter()
            .find(|(path, _)| path.is_file())
            .map(|(_, why)| *why);
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
                problem: Some(crate::advice::describe(std::iter::once(&error as _))),
                searched,
            },
        }
    }
}

impl Report {
    fn to_text(&self) -> String {
        let runtime = match (
            &self.runtime.path,
            &self.runtime.version,
            &self.runtime.problem,
        ) {
            (Some(path), Some(version), None) => {
                format!(
                    "ONNX Runtime {version} at {} ({})",
                    path.display(),
                    self.runtime.found.unwrap_or("found")
                )
            }
            (_, _, problem) => {
                let searched: Vec<String> = self
                    .runtime
                    .searched
                    .iter()
                    .map(|p| format!("\n             {}", p.display()))
                    .collect();
                format!(
                    "{}\n             searched:{}",
                    problem.as_deref().unwrap_or("not found"),
                    searched.concat()
                )
            }
        };
        format!(
            "rtune        {}\n\
             runtime      {runtime}\n             {MIN_VERSION} or newer is needed; \
             ORT_DYLIB_PATH names another library\n\
             threads      {}\n\
             processor    {}\n\
             int8         {}\n\
             cuda         {}",
            self.rtune,
            self.threads,
            self.cpu_features.join(" "),
            self.int8,
            self.cuda,
        )
    }
}

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

fn cuda() -> String {
    if !cfg!(feature = "cuda") {
        return "not built in; everything runs on the processor (build with --features cuda)"
            .to_owned();
    }
    match candle_core::Device::new_cuda(0) {
        Ok(_) => "device 0 is ready; the ONNX Runtime library runs on the processor".to_owned(),
        Err(error) => format!("built in, but no device: {error}"),
    }
}
