//! Names of flags of other tools that rtune lacks: those of Hugging Face's Trainer and its example
//! scripts, and other words for flags of rtune's.
//!
//! The names of the Trainer for flags of rtune's are aliases, which each flag declares.

use crate::arguments::find;
use clap::Command;

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

/// Other words for flags.
const SYNONYMS: &[(&str, &str)] = &[
    ("batch-size", "train-batch-size"),
    ("calibration", "calib"),
    ("classes", "labels"),
    ("dataset", "data"),
    ("dev", "validation"),
    ("dev-file", "validation"),
    ("epochs", "num-train-epochs"),
    ("eval", "validation"),
    ("eval-file", "validation"),
    ("file", "input"),
    ("input-file", "input"),
    ("label", "label-column"),
    ("label-names", "labels"),
    ("lr", "learning-rate"),
    ("max-len", "max-length"),
    ("metric-name", "metric-for-best-model"),
    ("num-epochs", "num-train-epochs"),
    ("out", "output"),
    ("out-dir", "output"),
    ("overwrite", "force"),
    ("patience", "early-stopping-patience"),
    ("steps", "max-steps"),
    ("text", "text-column"),
    ("tolerance", "atol"),
    ("train-data", "train"),
    ("training-data", "train"),
    ("valid", "validation"),
    ("validation-data", "validation"),
    ("warmup", "warmup-ratio"),
];

/// Says what rtune has in place of a flag of the Trainer.
fn instead(name: &str) -> &'static str {
    match name {
        "bf16" | "fp16" => "training computes in float32",
        "tf32" => "--dtype tf32 does that",
        "cache-dir" | "dataset-name" | "model-revision" => "rtune reads local files only",
        "do-regression" => "--task regression does that",
        "eval-strategy" | "evaluation-strategy" => {
            "an evaluation follows each epoch, or --eval-steps"
        }
        "gradient-checkpointing" => "a smaller --train-batch-size takes less memory",
        "logging-dir" => "logs are metrics.jsonl and tensorboard/ in the output folder",
        "no-cuda" | "use-cpu" => "--device cpu is the default",
        "optim" => "the optimizer is AdamW",
        "resume-from-checkpoint" => "an interrupted run resumes by itself",
        "save-strategy" => "a checkpoint follows each --save-steps updates",
        "tokenizer-name" => "the tokenizer is in the folder of the model",
        _ => "",
    }
}

/// Refuses a flag that another tool has and a command of rtune's lacks; `place` is the flag as it
/// was written, or its line in a config file, in which flags are keys. Other names pass.
///
/// # Errors
/// If the name is one of another tool.
pub(crate) fn check(command: &Command, name: &str, place: &str) -> Result<(), String> {
    let name = name.replace('_', "-");
    let name = name.as_str();
    let synonyms = SYNONYMS.iter().filter(|(other, _)| *other == name);
    let mut ours = synonyms.map(|(_, ours)| *ours);
    if let Some(ours) = ours.find(|ours| find(command, ours).is_some()) {
        return Err(match place.starts_with("--") {
            true => format!("{place}: no such flag; write --{ours}"),
            false => format!("{place}: no such flag; write `{}`", ours.replace('-', "_")),
        });
    }
    if ALWAYS.contains(&name) {
        return Err(format!(
            "{place}: a flag of Hugging Face's Trainer for something that rtune always does; \
             remove it"
        ));
    }
    if NEVER.contains(&name) {
        let instead = match instead(name) {
            "" => String::new(),
            text => format!("; {text}"),
        };
        return Err(format!(
            "{place}: a flag of Hugging Face's Trainer that rtune lacks; remove it{instead}"
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::Cli;
    use clap::CommandFactory as _;

    #[test]
    fn no_flag_of_ours_is_among_them() {
        for command in Cli::command().get_subcommands() {
            let synonyms = SYNONYMS.iter().map(|(name, _)| name);
            for name in ALWAYS.iter().chain(NEVER).chain(synonyms) {
                let command_name = command.get_name();
                assert!(find(command, name).is_none(), "{command_name}: {name}");
            }
        }
    }

    #[test]
    fn messages_say_what_to_do_instead() {
        let cli = Cli::command();
        let finetune = cli.find_subcommand("finetune").unwrap();
        let message = |name| check(finetune, name, "--x").unwrap_err();
        assert!(message("do_train").contains("always does"));
        assert!(message("fp16").ends_with("remove it; training computes in float32"));
        assert_eq!(message("lr"), "--x: no such flag; write --learning-rate");
        assert!(check(finetune, "learning_rate", "--learning_rate").is_ok());
        for (name, ours) in SYNONYMS {
            let mut commands = cli.get_subcommands();
            let command = commands.find(|command| find(command, ours).is_some());
            assert!(check(command.unwrap(), name, "").is_err(), "{name}");
        }
        for name in NEVER.iter().filter(|name| !instead(name).is_empty()) {
            assert!(message(name).ends_with(instead(name)), "{name}");
        }
    }
}
