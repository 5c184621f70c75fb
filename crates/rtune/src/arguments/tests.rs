use super::*;
use crate::cli::Command as Parsed;

/// Parses a line of words; `_` within a word stands for a space.
fn parsed(line: &str) -> Result<Parsed> {
    let words = line.split(' ').map(|word| word.replace('~', " ").into());
    let words: Vec<OsString> = std::iter::once("rtune".into()).chain(words).collect();
    parse(&words).map(|parsed| parsed.cli.command)
}

fn shown(line: &str) -> String {
    match parsed(line) {
        Ok(command) => format!("{command:?}"),
        Err(error) => error
            .to_string()
            .lines()
            .next()
            .unwrap_or_default()
            .to_owned(),
    }
}

const RUN: &str = "finetune --model m --train t.csv --output o";

#[test]
fn values_may_begin_with_a_dash() {
    for (line, expected) in [
        (
            format!("{RUN} --labels -1,0,1"),
            "Names([\"-1\", \"0\", \"1\"])",
        ),
        (
            format!("{RUN} --labels --,-,0,+,++"),
            "Names([\"--\", \"-\", \"0\", \"+\", \"++\"])",
        ),
        (format!("{RUN} --labels=-1,0"), "Names([\"-1\", \"0\"])"),
        (format!("{RUN} --labels -a,b"), "Names([\"-a\", \"b\"])"),
        (format!("{RUN} --learning-rate -1"), "learning_rate: -1.0"),
        (
            format!("{RUN} --class-weights -1,2"),
            "Numbers([-1.0, 2.0])",
        ),
        (format!("{RUN} --text-column -x"), "text_column: \"-x\""),
        (
            "predict --model m -5~degrees".to_owned(),
            "texts: [\"-5 degrees\"]",
        ),
        (
            "predict -5 --model m -".to_owned(),
            "texts: [\"-5\", \"-\"]",
        ),
        (
            "predict --model m --bad~film".to_owned(),
            "texts: [\"--bad film\"]",
        ),
        (
            "predict --model m -- --bad -x".to_owned(),
            "texts: [\"--bad\", \"-x\"]",
        ),
        ("predict --model -m a".to_owned(), "model: \"-m\""),
        (format!("{RUN} --warmup-ratio -1"), "warmup_ratio: -1.0"),
    ] {
        let found = shown(&line);
        assert!(found.contains(expected), "{line}: {found}");
    }
}

#[test]
fn numbers_are_explained() {
    let problem = "must be a whole number, 0 or more";
    for (flags, expected) in [
        ("--seed -1", problem),
        ("--seed 1.5", problem),
        ("--max-steps -1", problem),
        ("--seed 18446744073709551616", "is too large"),
        (
            "--learning-rate 1,5",
            "must be a number, with a point before decimals",
        ),
        (
            "--class-weights 1,,2",
            "`` is not a number; separate numbers by single commas",
        ),
    ] {
        let found = shown(&format!("{RUN} {flags}"));
        assert!(found.ends_with(expected), "{flags}: {found}");
    }
}

#[test]
fn flags_are_given_once() {
    for flags in [
        "--train a.csv",
        "--train_file a.csv",
        "--seed 1 --seed 1",
        "--learning-rate 1 --learning_rate=2",
        "--labels a,b --labels c",
        "--json --json",
        "--config a --config b",
    ] {
        let found = shown(&format!("{RUN} {flags}"));
        let expected = " is given twice; remove one of them";
        assert!(found.ends_with(expected), "{flags}: {found}");
    }
}

#[test]
fn spellings_of_hugging_face_are_accepted() {
    let line = "finetune --model_name_or_path m --train_file t.csv --validation_file v.csv \
        --test_file s.csv --output_dir o --overwrite_output_dir --max_seq_length 24 \
        --num_train_epochs 2 --per_device_train_batch_size 8 --per_device_eval_batch_size 9 \
        --learning_rate 1e-5 --weight_decay 0.1 --warmup_ratio 0.2 --text_column_name a \
        --label_column_name b --lr_scheduler_type cosine --gradient_accumulation_steps 2 \
        --max_grad_norm 0.5 --eval_steps 10 --save_steps 20 --save_total_limit 3 \
        --metric_for_best_model qwk --logging_steps 5 --seed 7";
    let found = shown(&line.split_whitespace().collect::<Vec<_>>().join(" "));
    for expected in [
        "model: \"m\"",
        "train: \"t.csv\"",
        "validation: Some(\"v.csv\")",
        "test: Some(\"s.csv\")",
        "output: \"o\"",
        "force: true",
        "max_length: 24",
        "train_batch_size: 8",
        "eval_batch_size: 9",
        "text_column: \"a\"",
        "label_column: \"b\"",
        "lr_scheduler_type: Cosine",
        "warmup_ratio: 0.2",
    ] {
        assert!(found.contains(expected), "{expected}: {found}");
    }
    let found = shown(&format!("{RUN} --fp16"));
    let expected = "--fp16: a flag of Hugging Face's Trainer that rtune lacks; remove it; \
        training computes in float32";
    assert_eq!(found, expected);
}

#[test]
fn flags_without_a_value_take_true_and_false() {
    for (flags, expected) in [
        ("--force", true),
        ("--force true", true),
        ("--overwrite_output_dir True", true),
        ("--force=false", false),
        ("--force False", false),
    ] {
        let found = shown(&format!("{RUN} {flags}"));
        assert!(
            found.contains(&format!("force: {expected}")),
            "{flags}: {found}"
        );
    }
    // Where texts are taken, `true` is one.
    let found = shown("predict --model m --json true");
    assert!(found.contains("texts: [\"true\"]"), "{found}");
}

#[test]
fn wrong_flags_are_named() {
    for (line, expected) in [
        (
            "finetune -model m",
            "-model: flags begin with two hyphens; write --model",
        ),
        (
            "predict --model m --inptu a",
            "unexpected argument '--inptu' found",
        ),
        (
            "predict --model m -x",
            "-x: no such flag; flags begin with two hyphens; if it is a value, put it after `--`",
        ),
        ("predict --model", "a value is required for '--model <DIR>'"),
        (
            "predict --model --json",
            "a value is required for '--model <DIR>'",
        ),
        (
            "finetune --model a --labels x, y, z --train b",
            "y,: a value without a flag; write --labels x,y,z",
        ),
        (
            "finetune --train my file.csv",
            "file.csv: a value without a flag; if it belongs to --train, put the whole value in \
             quotes",
        ),
        (
            "export --json b",
            "b: a value without a flag; --json takes none",
        ),
        (
            "export --json=b",
            "--json takes true, false or no value, found `b`",
        ),
        (
            "finetune --epochs 3",
            "--epochs: no such flag; write --num-train-epochs",
        ),
        ("finetune extra", "unexpected argument 'extra' found"),
        ("fine-tune", "unrecognized subcommand 'fine-tune'"),
    ] {
        let found = shown(line);
        assert!(found.contains(expected), "{line}: {found}");
    }
}

#[test]
fn all_wrong_arguments_are_named_at_once() {
    let line = format!("{RUN} --do_train --eval_strategy epoch --fp16 True -seed 1 --lr 1");
    let words: Vec<OsString> = line.split(' ').map(OsString::from).collect();
    let words = [vec!["rtune".into()], words].concat();
    let found = parse(&words).unwrap_err().to_string();
    let starts = [
        "5 arguments",
        "  --do_train",
        "  --eval_strategy",
        "  --fp16",
        "  -seed",
        "  --lr",
    ];
    assert_eq!(found.lines().count(), starts.len(), "{found}");
    for (line, start) in found.lines().zip(starts) {
        assert!(line.starts_with(start), "{found}");
    }
}

/// Splits a line at spaces, but not within double quotes.
fn words(line: &str) -> Vec<OsString> {
    let mut words = Vec::new();
    for (index, part) in line.split('"').enumerate() {
        match index % 2 {
            0 => words.extend(part.split_whitespace().map(OsString::from)),
            _ => words.push(part.into()),
        }
    }
    words
}

#[test]
fn examples_of_the_help_and_the_readme_are_accepted() {
    let cli = Cli::command();
    let help = cli
        .get_subcommands()
        .filter_map(|command| Some(command.get_after_help()?.to_string()));
    let readme = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../README.md");
    let readme = std::fs::read_to_string(readme).unwrap();
    let texts: Vec<String> = help.chain([readme]).collect();
    let lines = texts.iter().flat_map(|text| text.lines());
    let examples = lines.filter(|line| line.starts_with("  ") && line.contains("rtune "));
    let mut count = 0;
    for line in examples
        .map(str::trim)
        .filter(|line| line.starts_with("rtune "))
    {
        let command = line.split(['|', '>', '<']).next().unwrap_or_default();
        let mut arguments = words(command);
        // Config files of examples do not exist; the rest is checked.
        if let Some(at) = arguments.iter().position(|word| word == "--config") {
            arguments.drain(at..at + 2);
            arguments.extend(["--model", "m", "--train", "t"].map(OsString::from));
        }
        if let Err(error) = parse(&arguments) {
            panic!("{line}: {error}");
        }
        count += 1;
    }
    assert!(count > 15, "examples are missing: {count}");
}

/// Whatever is typed, the answer is a command or a message.
#[test]
fn no_arguments_panic() {
    let tokens = [
        "finetune",
        "predict",
        "inspect",
        "--",
        "-",
        "-h",
        "--help",
        "-1",
        "-x",
        "--labels",
        "a,b",
        "--labels=",
        "--=",
        "--=x",
        "--json",
        "true",
        "--seed",
        "\"",
        "ä",
        "--ä",
        "-ä",
        "--config",
        "=",
        "--train_file",
        "--lr",
        "--fp16",
        "x.toml",
        "",
    ];
    let mut state = 7_usize;
    let mut next = |limit: usize| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (state >> 33) % limit
    };
    for _ in 0..400 {
        let mut words: Vec<OsString> = vec!["rtune".into(), tokens[next(3)].into()];
        let count = next(8);
        words.extend((0..count).map(|_| tokens[next(tokens.len())].into()));
        let _ = parse(&words);
    }
}
