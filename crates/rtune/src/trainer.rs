//! Names of flags that Hugging Face's Trainer and its example scripts have and rtune lacks.
//!
//! The flags that both have are aliases, which each flag declares.

use crate::exit::usage;
use anyhow::Result;

/// Flags for work that rtune always does.
const ALWAYS: &[&str] = &[
    "do-train",
    "do-eval",
    "do-predict",
    "full-determinism",
    "group-by-length",
    "load-best-model-at-end",
    "save-safetensors",
    "use-fast-tokenizer",
];

/// Flags for work that rtune does not do.
const NEVER: &[&str] = &[
    "adafactor",
    "adam-beta1",
    "adam-beta2",
    "adam-epsilon",
    "auto-find-batch-size",
    "bf16",
    "bf16-full-eval",
    "cache-dir",
    "config-name",
    "data-seed",
    "dataloader-drop-last",
    "dataloader-num-workers",
    "dataloader-pin-memory",
    "dataset-config-name",
    "dataset-name",
    "ddp-backend",
    "ddp-find-unused-parameters",
    "deepspeed",
    "disable-tqdm",
    "do-regression",
    "eval-accumulation-steps",
    "eval-delay",
    "eval-on-start",
    "eval-strategy",
    "evaluation-strategy",
    "fp16",
    "fp16-full-eval",
    "fp16-opt-level",
    "fsdp",
    "fsdp-config",
    "gradient-checkpointing",
    "greater-is-better",
    "half-precision-backend",
    "hub-model-id",
    "hub-strategy",
    "hub-token",
    "ignore-data-skip",
    "ignore-mismatched-sizes",
    "label-names",
    "label-smoothing-factor",
    "length-column-name",
    "local-rank",
    "log-level",
    "logging-dir",
    "logging-first-step",
    "logging-strategy",
    "lr-scheduler-kwargs",
    "max-eval-samples",
    "max-predict-samples",
    "max-train-samples",
    "metric-name",
    "model-revision",
    "neftune-noise-alpha",
    "no-cuda",
    "optim",
    "optim-args",
    "overwrite-cache",
    "pad-to-max-length",
    "past-index",
    "prediction-loss-only",
    "preprocessing-num-workers",
    "push-to-hub",
    "remove-columns",
    "remove-splits",
    "remove-unused-columns",
    "report-to",
    "resume-from-checkpoint",
    "run-name",
    "save-only-model",
    "save-strategy",
    "shuffle-seed",
    "shuffle-train-dataset",
    "skip-memory-metrics",
    "task-name",
    "test-split-name",
    "text-column-delimiter",
    "tf32",
    "token",
    "tokenizer-name",
    "torch-compile",
    "torch-compile-backend",
    "torch-compile-mode",
    "train-sampling-strategy",
    "train-split-name",
    "trust-remote-code",
    "use-auth-token",
    "use-cpu",
    "use-liger-kernel",
    "use-mps-device",
    "validation-split-name",
];

/// Refuses a flag that Hugging Face's Trainer has and rtune lacks; `place` is the flag as it was
/// written, or its line in a config file. Other names pass.
///
/// # Errors
/// If the Trainer has the flag.
pub(crate) fn check(name: &str, place: &str) -> Result<()> {
    let name = name.replace('_', "-");
    let name = name.as_str();
    let remedy = match name {
        "resume-from-checkpoint" => "; an interrupted run resumes by itself",
        "do-regression" => "; --task regression does that",
        _ => "",
    };
    if ALWAYS.contains(&name) {
        return Err(usage(format!(
            "{place}: a flag of Hugging Face's Trainer for something that rtune always does; \
             remove it"
        )));
    }
    if NEVER.contains(&name) {
        return Err(usage(format!(
            "{place}: a flag of Hugging Face's Trainer that rtune lacks; remove it{remedy}"
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arguments::find;
    use crate::cli::Cli;
    use clap::CommandFactory as _;

    #[test]
    fn no_flag_of_ours_is_among_them() {
        for command in Cli::command().get_subcommands() {
            for name in ALWAYS.iter().chain(NEVER) {
                assert!(
                    find(command, name).is_none(),
                    "{}: {name}",
                    command.get_name()
                );
            }
        }
    }

    #[test]
    fn the_message_says_whether_to_miss_it() {
        let message = |name| check(name, "--x").unwrap_err().to_string();
        assert!(message("do_train").contains("always does"));
        assert!(message("fp16").contains("rtune lacks"));
        assert!(check("learning_rate", "--learning_rate").is_ok());
    }
}
