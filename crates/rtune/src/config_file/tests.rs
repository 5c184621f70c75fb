use crate::arguments;
use std::ffi::OsString;

/// Parses a command with a config file of a text; the file's folder is `[DIR]` in the result.
fn parsed(text: &str, line: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run.toml");
    std::fs::write(&path, text).unwrap();
    let words = line.split(' ').map(OsString::from);
    let mut words: Vec<OsString> = std::iter::once("rtune".into()).chain(words).collect();
    words.extend(["--config".into(), path.into()]);
    let result = match arguments::parse(&words) {
        Ok(parsed) => format!("{:?}", parsed.cli.command),
        Err(error) => error.to_string(),
    };
    result.replace(&*folder.path().to_string_lossy(), "[DIR]")
}

const RUN: &str = "finetune --model m --train t.csv --output o";

#[test]
fn values_are_taken_as_they_are() {
    for (text, expected) in [
        ("labels = [-1, 0, 1]", "Names([\"-1\", \"0\", \"1\"])"),
        (
            "labels = [\"a, b\", \" c \", \"--d\"]",
            "Names([\"a, b\", \" c \", \"--d\"])",
        ),
        (
            "labels = [\"say \\\"x\\\"\", \"\"]",
            "Names([\"say \\\"x\\\"\", \"\"])",
        ),
        ("labels = \"-1, 0,1\"", "Names([\"-1\", \"0\", \"1\"])"),
        ("labels = [1.0, 0x10]", "Names([\"1.0\", \"16\"])"),
        ("class_weights = [1, 2.5]", "Numbers([1.0, 2.5])"),
        ("learning-rate = -1", "learning_rate: -1.0"),
        ("learning_rate = 1_0.5", "learning_rate: 10.5"),
        ("text_column = \"-a b\"", "text_column: \"-a b\""),
        ("per_device_train_batch_size = 3", "train_batch_size: 3"),
        ("force = true", "force: true"),
        ("force = false", "force: false"),
    ] {
        let found = parsed(text, RUN);
        assert!(found.contains(expected), "{text}: {found}");
    }
}

#[test]
fn wrong_keys_and_values_are_named_by_their_line() {
    let whole = "invalid value `-1`: must be a whole number, 0 or more";
    let type_of = |name, expected, found| {
        format!("`{name}`: expected {expected}, found a value of type {found}")
    };
    for (text, expected) in [
        ("\n\nseed = -1", format!("line 3: `seed`: {whole}")),
        (
            "[finetune]\n\nseed = -1",
            format!("line 3: `seed`: {whole}"),
        ),
        (
            "learning_rat = 1",
            "line 1: `learning_rat`: `rtune finetune` has no such flag; the nearest is \
             `learning_rate`"
                .to_owned(),
        ),
        (
            "fp16 = true",
            "line 1: `fp16`: a flag of Hugging Face's Trainer that rtune lacks; remove it"
                .to_owned(),
        ),
        (
            "calib = \"x\"",
            "line 1: `calib`: is a flag of `rtune quantize`, not of `rtune finetune`; move it to \
             a table [quantize]"
                .to_owned(),
        ),
        (
            "task = \"ordinary\"",
            "line 1: `task`: invalid value `ordinary`: expected ordinal, classification, \
             regression"
                .to_owned(),
        ),
        (
            "[fintune]\nseed = 1",
            "line 1: [fintune]: no command has this name; a table is named after a command; \
             the nearest is [finetune]"
                .to_owned(),
        ),
        (
            "seed = 1\nmax_steps = 2\nmax-steps = 3",
            "`: the same flag as `max".to_owned(),
        ),
        (
            "force = \"yes\"",
            type_of("force", "true or false", "string"),
        ),
        (
            "seed = true",
            type_of("seed", "a string or a number", "boolean"),
        ),
        (
            "seed = [1]",
            type_of("seed", "a string or a number", "array"),
        ),
        (
            "labels = 1",
            type_of(
                "labels",
                "an array such as labels = [\"1\", \"2\"]",
                "integer",
            ),
        ),
        (
            "[quantize]\nmethd = 1",
            "line 2: `methd`: `rtune quantize` has no such flag; the nearest is `method`"
                .to_owned(),
        ),
        (
            "\u{feff}[finetune]\nseed = -1",
            format!("line 2: `seed`: {whole}"),
        ),
        (
            "[[finetune]]\nseed = 1",
            "line 1: `finetune`: is a command; write its flags in one table [finetune]".to_owned(),
        ),
        (
            "labels = []",
            type_of("labels", "some strings or numbers in the array", "array"),
        ),
        (
            "lr = 1",
            "line 1: `lr`: no such flag; write `learning_rate`".to_owned(),
        ),
        (
            "config = \"x\"",
            "`config`: a config file names no other one; remove it".to_owned(),
        ),
        (
            "\nseed = ",
            "line 2: not TOML: string values must be quoted".to_owned(),
        ),
    ] {
        let found = parsed(text, RUN);
        assert!(found.starts_with("[DIR]/run.toml"), "{text}: {found}");
        assert!(found.contains(&expected), "{text}: {found}");
    }
    let found = parsed("seed = 1", "finetune --model m");
    let expected = "--train <FILE>, --output <DIR>: missing on the command line and in \
        [DIR]/run.toml; give it in one of them";
    assert_eq!(found, expected);
}

#[test]
fn all_wrong_keys_are_named_at_once() {
    let found = parsed(
        "seed = true\nfp16 = true\n[finetune]\nlr = 1\n[xport]\na = 1",
        RUN,
    );
    let lines: Vec<&str> = found.lines().collect();
    assert_eq!(lines[0], "4 keys cannot be used");
    for (line, number) in lines[1..].iter().zip([1, 2, 4, 5]) {
        let start = format!("  [DIR]/run.toml, line {number}: ");
        assert!(line.starts_with(&start), "{found}");
    }
}

#[test]
fn the_command_line_wins_over_a_table_and_a_table_over_shared_keys() {
    let text = "seed = 1\ntext_column = \"a\"\nmax_steps = 9\n\
        [finetune]\nseed = 2\nmax_steps = 8\n[quantize]\nmethod = \"min-max\"";
    let found = parsed(text, &format!("{RUN} --max_steps 7"));
    for expected in ["seed: 2", "text_column: \"a\"", "max_steps: Some(7)"] {
        assert!(found.contains(expected), "{expected}: {found}");
    }
    let found = parsed("force = true\n[finetune]\nforce = false", RUN);
    assert!(found.contains("force: false"), "{found}");
    let found = parsed("force = true", &format!("{RUN} --force false"));
    assert!(found.contains("force: false"), "{found}");
    // Keys of other commands are shared only beside tables.
    let found = parsed("calib = \"x\"\n[finetune]\nseed = 2", RUN);
    assert!(found.contains("seed: 2"), "{found}");
}

#[test]
fn paths_are_relative_to_the_file() {
    let text = "model = \"m\"\ntrain = \"/t.csv\"\noutput = \"../o\"\ntext_column = \"a/b\"";
    let found = parsed(text, "finetune --validation v.csv");
    for expected in [
        "model: \"[DIR]/m\"",
        "train: \"/t.csv\"",
        "output: \"[DIR]/../o\"",
        "text_column: \"a/b\"",
        "validation: Some(\"v.csv\")",
    ] {
        assert!(found.contains(expected), "{expected}: {found}");
    }
    let found = parsed("model = \"m\"\ninput = \"-\"", "predict");
    assert!(found.contains("input: Some(\"-\")"), "{found}");
}

#[test]
fn flags_without_effect_yield_to_the_command_line() {
    let found = parsed("num_train_epochs = 2", &format!("{RUN} --max-steps 3"));
    assert!(found.contains("max_steps: Some(3)"), "{found}");
    let found = parsed("num_train_epochs = 2\nmax_steps = 3", RUN);
    assert!(found.ends_with(
        "line 1: `num_train_epochs`: has no effect with --max-steps; remove one of them"
    ));
    let found = parsed("max_steps = 3", &format!("{RUN} --num-train-epochs 2"));
    assert!(
        found.contains("num_train_epochs: 2.0, max_steps: None"),
        "{found}"
    );
    let text = "max_steps = 3\n[finetune]\nnum_train_epochs = 2";
    let found = parsed(text, RUN);
    assert!(
        found.contains("num_train_epochs: 2.0, max_steps: None"),
        "{found}"
    );
    let found = parsed("link = \"probit\"\n[finetune]\ntask = \"regression\"", RUN);
    assert!(found.contains("task: Regression"), "{found}");
    let found = parsed("model = \"a\"\ninput = \"b\"", "predict text");
    assert!(
        found.contains("texts: [\"text\"], text_pair: None, input: None"),
        "{found}"
    );
}

#[test]
fn the_example_of_the_readme_is_accepted() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../README.md");
    let readme = std::fs::read_to_string(path).unwrap();
    let (_, example) = readme.split_once("### Config files\n").unwrap();
    let lines = example.lines().skip_while(|line| line.is_empty());
    let example: Vec<&str> = lines.map_while(|line| line.strip_prefix("    ")).collect();
    let example = example.join("\n");
    let found = parsed(&example, "finetune");
    for expected in [
        "text_column: \"review\"",
        "Names([\"bad, or worse\", \"fair\", \"good\"])",
    ] {
        assert!(found.contains(expected), "{found}");
    }
    assert!(parsed(&example, "export").contains("output: \"[DIR]/onnx\""));
}
