//! The documents say what the program does: each metric is in its help and in README.md, the
//! commands of README.md print lines of the form that it shows, and `docs/json.md` has the fields
//! of the JSON results, no more and no less.

#![expect(clippy::unwrap_used, reason = "tests")]

use rtune_task::{Decision, Metric, Task};
use rtune_testkit::{FINETUNE, root, rtune, tiny_rows, tiny_workspace};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

fn help(command: &str) -> String {
    let output = rtune(&root(), &[command, "--help"]);
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn metrics_are_in_help_and_readme() {
    let readme = std::fs::read_to_string(root().join("README.md")).unwrap();
    let help = help("evaluate");
    for metric in Metric::all() {
        let tasks = [(Task::Ordinal, "classes"), (Task::Regression, "numbers")];
        let tasks = tasks.iter().filter(|(task, _)| metric.applies_to(*task));
        let tasks = tasks.map(|(_, name)| *name).collect::<Vec<_>>().join(", ");
        let better = match metric.higher_is_better() {
            true => "higher",
            false => "lower",
        };
        let range = metric.range();
        let (row, end) = (
            format!("| `{metric}` | {tasks} | "),
            format!(" | {range} | {better} | "),
        );
        let mut rows = readme.lines().filter(|line| line.starts_with(&row));
        let found = rows.next().is_some_and(|line| line.contains(&end));
        assert!(found, "README.md has no row `{row}…{end}`");
        let line = format!("  {metric:<11} {}\n", metric.meaning());
        assert!(help.contains(&line), "no `{line}` in:\n{help}");
        let line = format!("{range}; {better} is better; {tasks}\n");
        assert!(help.contains(&line), "no `{line}` in:\n{help}");
    }
}

/// A line with `#` for each word that has a digit, and without what depends on the numbers.
fn form(line: &str) -> String {
    let mut line = line.replace("(chosen)", "").replace(", not beaten", "");
    for rule in Decision::ALL {
        line = line.replace(&format!("the {rule} class"), "the # class");
    }
    let line = match line.split_once(" is ") {
        Some((metric, rest)) if rest.ends_with("is accepted") => format!("{metric} is accepted"),
        _ => line,
    };
    let has_digit = |word: &str| word.contains(|c: char| c.is_ascii_digit());
    let hide = |word| if has_digit(word) { "#" } else { word };
    let words: Vec<&str> = line.split_whitespace().map(hide).collect();
    words.join(" ")
}

/// Rows with five classes in the words of the tiny model.
fn five_classes(count: usize) -> String {
    let words = ["bad", "dull", "good", "great", "very great"];
    let row = |i: usize| {
        let noun = ["film", "story", "cast"][i % 3];
        format!("the {noun} was {},{}\n", words[i % 5], i % 5)
    };
    std::iter::once("text,label\n".to_owned())
        .chain((0..count).map(row))
        .collect()
}

#[test]
fn the_commands_of_the_readme_print_what_it_shows() {
    let readme = std::fs::read_to_string(root().join("README.md")).unwrap();
    let start = readme.find("    $ rtune finetune").unwrap();
    let block = readme[start..].lines();
    let block: Vec<&str> = block.map_while(|line| line.strip_prefix("    ")).collect();
    let folder = tiny_workspace();
    let at = |name: &str| folder.path().join(name);
    std::fs::rename(at("model"), at("all-MiniLM-L6-v2")).unwrap();
    for (name, count) in [
        ("train.csv", 100),
        ("validation.csv", 40),
        ("test.csv", 100),
    ] {
        std::fs::write(at(name), five_classes(count)).unwrap();
    }
    let texts = "id,text\n\
                 a1,\"A warm, funny and beautifully acted little film.\"\n\
                 a2,\n\
                 a3,Dull to the end.\n";
    std::fs::write(at("texts.csv"), texts).unwrap();
    let mut commands = 0;
    for step in block.join("\n").split("$ ").skip(1) {
        let (command, shown) = step.split_once('\n').unwrap();
        let printed = match command.strip_prefix("cat ") {
            Some(file) => std::fs::read_to_string(at(file)).unwrap(),
            None => print(folder.path(), command),
        };
        let printed: Vec<String> = printed.lines().map(form).collect();
        let shown: Vec<String> = shown.lines().map(form).collect();
        let left_out = shown.iter().any(|line| line == "…");
        assert!(
            left_out || shown.len() == printed.len(),
            "{command}: {printed:#?}"
        );
        for line in shown.iter().filter(|line| *line != "…") {
            let is_processor = line.starts_with("processor ");
            let is_printed = printed
                .iter()
                .any(|found| found == line || is_processor && found.starts_with("processor "));
            assert!(is_printed, "{command}: no `{line}` in {printed:#?}");
        }
        commands += 1;
    }
    assert_eq!(commands, 10);
}

/// Runs a command line of README.md and returns what it prints.
fn print(folder: &Path, line: &str) -> String {
    let mut arguments = Vec::new();
    for (index, part) in line.split('"').enumerate() {
        match index % 2 {
            0 => arguments.extend(part.split_whitespace()),
            _ => arguments.push(part),
        }
    }
    arguments.extend(match arguments[1] {
        // The positions of the tiny model.
        "finetune" => &["--max-length", "24"][..],
        // Of a model this small, int8 may change a label.
        "quantize" => &["--max-metric-drop", "1"],
        _ => &[],
    });
    let output = rtune(folder, &arguments[1..]);
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{line}: {message}");
    String::from_utf8(output.stdout).unwrap()
}

/// The tables of `docs/json.md`: for each heading, the fields with their types.
struct Fields {
    tables: BTreeMap<String, Vec<(String, String)>>,
    /// The fields that had a value, each behind its heading.
    seen: BTreeSet<String>,
    problems: BTreeSet<String>,
}

impl Fields {
    fn read() -> Self {
        let text = std::fs::read_to_string(root().join("docs/json.md")).unwrap();
        let mut tables: BTreeMap<String, Vec<(String, String)>> = BTreeMap::new();
        let mut heading = String::new();
        for line in text.lines() {
            if line.starts_with("##") {
                heading = line.trim_start_matches('#').trim().to_owned();
            }
            let cells: Vec<&str> = line
                .split(" | ")
                .map(|cell| cell.trim_matches(['|', ' ']))
                .collect();
            if let [field, kind, _, _] = cells[..]
                && (field.starts_with('`') || field == "…")
            {
                let row = (field.replace('`', ""), kind.to_owned());
                tables.entry(heading.clone()).or_default().push(row);
            }
        }
        Self {
            tables,
            seen: BTreeSet::new(),
            problems: BTreeSet::new(),
        }
    }

    /// Holds a value against the table of a heading.
    fn check_object(&mut self, place: &str, heading: &str, value: &Value) {
        let Some(object) = value.as_object() else {
            self.problems
                .insert(format!("{place} is no object: {value}"));
            return;
        };
        let mut fields = Vec::new();
        for (field, kind) in self.tables.get(heading).cloned().unwrap_or_default() {
            match link(&kind) {
                Some(other) if field == "…" => {
                    let more = self.tables[other].iter();
                    fields.extend(more.map(|(f, k)| (other.to_owned(), f.clone(), k.clone())));
                }
                _ => fields.push((heading.to_owned(), field, kind)),
            }
        }
        for key in object.keys() {
            if fields.iter().all(|(_, field, _)| field != key) {
                self.problems
                    .insert(format!("{place}.{key} has no row under {heading}"));
            }
        }
        for (heading, field, kind) in fields {
            let place = format!("{place}.{field}");
            let Some(value) = object.get(&field) else {
                self.problems
                    .insert(format!("{place} is not in the document"));
                continue;
            };
            let is_empty = value.is_null()
                || value.as_array().is_some_and(Vec::is_empty)
                || value.as_object().is_some_and(serde_json::Map::is_empty);
            if !is_empty {
                self.seen.insert(format!("{heading}.{field}"));
            }
            self.check(&place, &kind, value);
        }
    }

    /// Holds a value against a type.
    fn check(&mut self, place: &str, kind: &str, value: &Value) {
        if let Some(kind) = kind.strip_prefix("list of ") {
            let Some(items) = value.as_array() else {
                self.problems.insert(format!("{place} is no list: {value}"));
                return;
            };
            for item in items {
                self.check(&format!("{place}[]"), kind, item);
            }
            return;
        }
        if let Some(kind) = kind.strip_prefix("map of ") {
            let Some(items) = value.as_object() else {
                self.problems.insert(format!("{place} is no map: {value}"));
                return;
            };
            for item in items.values() {
                self.check(&format!("{place}{{}}"), kind, item);
            }
            return;
        }
        let (kind, may_be_null) = match kind.strip_suffix(" or null") {
            Some(kind) => (kind, true),
            None => (kind, false),
        };
        if value.is_null() && may_be_null {
            return;
        }
        if let Some(heading) = link(kind) {
            self.check_object(place, heading, value);
            return;
        }
        let fits = match kind {
            "string" => value.is_string(),
            "integer" => value.is_u64(),
            "number" => value.is_number(),
            "boolean" => value.is_boolean(),
            other => panic!("{place}: unknown type {other}"),
        };
        if !fits {
            self.problems
                .insert(format!("{place} is no {kind}: {value}"));
        }
    }

    /// Runs a command, and holds its document against the table of the command.
    fn run(&mut self, folder: &Path, code: i32, line: &str) -> Value {
        let arguments: Vec<&str> = line.split(' ').chain(["--json"]).collect();
        let output = rtune(folder, &arguments);
        let message = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{line}: {message}");
        let document = serde_json::from_slice(&output.stdout).unwrap();
        self.check_object(arguments[0], arguments[0], &document);
        document
    }
}

/// Returns the heading that a type such as `[metrics](#metrics)` names.
fn link(kind: &str) -> Option<&str> {
    let (name, anchor) = kind.strip_prefix('[')?.split_once("](#")?;
    (anchor.strip_suffix(')') == Some(name)).then_some(name)
}

/// The fields that have no value in the runs below.
const WITHOUT_VALUE: [&str; 3] = [
    // Rows of the rules are in `metrics.jsonl`.
    "evaluation.decisions",
    // A graph that contradicts itself and still runs.
    "inspect.fault",
    // A machine without a runtime.
    "library.problem",
];

#[test]
fn json_results_have_the_documented_fields() {
    let workspace = tiny_workspace();
    let folder = workspace.path();
    // Some labels are wrong, so that the scale of the last fit stays small.
    let rows = tiny_rows(400);
    let wrong = |(number, row): (usize, &str)| match number % 5 {
        4 => format!("{}1\n", &row[..row.len() - 1]),
        _ => format!("{row}\n"),
    };
    let rows: String = rows.lines().enumerate().map(wrong).collect();
    std::fs::write(folder.join("more.csv"), rows).unwrap();
    let mut fields = Fields::read();
    for (output, more) in [
        ("run", "--test test.csv --max-steps 12"),
        ("numbers", "--task regression --max-steps 2"),
        ("classes", "--task classification --max-steps 2"),
    ] {
        let finetune = FINETUNE
            .join(" ")
            .replace("--output run", &format!("--output {output}"))
            // The last fit needs a number of rows.
            .replace("--validation test.csv", "--validation more.csv");
        fields.run(
            folder,
            0,
            &format!("{finetune} --learning-rate 3e-3 {more}"),
        );
    }
    fields.run(folder, 0, "export --model run --output onnx");
    fields.run(folder, 0, "export --model numbers --output other");
    fields.run(
        folder,
        0,
        "verify --reference run --candidate onnx --data test.csv",
    );
    fields.run(
        folder,
        3,
        "verify --reference run --candidate other --data test.csv",
    );
    let quantize = "quantize --model onnx --eval-data test.csv --max-metric-drop 1 --output";
    fields.run(folder, 0, &format!("{quantize} int8 --calib train.csv"));
    let text = std::fs::read_to_string(folder.join("int8/quantization.json")).unwrap();
    let stored = serde_json::from_str(&text).unwrap();
    fields.check_object("quantization.json", "quantize", &stored);
    write_tensors(&folder.join("tensors.safetensors"));
    fields.run(
        folder,
        0,
        "quantize --model onnx --calib tensors.safetensors --output again",
    );
    for model in ["run", "numbers", "classes", "onnx"] {
        fields.run(
            folder,
            0,
            &format!("evaluate --model {model} --data test.csv"),
        );
    }
    std::fs::write(
        folder.join("rows.csv"),
        "id,text\n7,the film\n8,\n9,\"a\"b\n",
    )
    .unwrap();
    std::fs::write(folder.join("bad.csv"), "id,text\n7,\n").unwrap();
    for model in ["run", "numbers", "onnx"] {
        let predict = format!("predict --model {model} --id-column id --input");
        fields.run(folder, 0, &format!("{predict} rows.csv"));
        fields.run(
            folder,
            0,
            &format!("{predict} rows.csv --output {model}.jsonl"),
        );
        fields.run(folder, 2, &format!("{predict} bad.csv"));
        let lines = std::fs::read_to_string(folder.join(format!("{model}.jsonl"))).unwrap();
        assert_eq!(lines.lines().count(), 3);
        for line in lines.lines() {
            fields.check_object("jsonl", "prediction", &serde_json::from_str(line).unwrap());
        }
    }
    let pairs = std::fs::read_to_string(folder.join("train.csv")).unwrap();
    let pairs = pairs
        .replace("text,", "text,second,")
        .replace(" was ", " was,");
    std::fs::write(folder.join("pairs.csv"), pairs).unwrap();
    let finetune = "finetune --model model --train pairs.csv --text-pair-column second";
    fields.run(
        folder,
        0,
        &format!("{finetune} --output pairs --max-steps 1 --max-length 24"),
    );
    fields.run(folder, 0, "predict --model pairs film --text-pair good");
    fields.run(folder, 0, "inspect onnx");
    fields.run(folder, 0, "inspect int8");
    fields.run(folder, 0, "doctor");
    assert_eq!(fields.problems, BTreeSet::new(), "beside docs/json.md");
    let rows = fields.tables.iter();
    let all = rows.flat_map(|(heading, rows)| rows.iter().map(move |row| (heading, &row.0)));
    let all = all.map(|(heading, field)| format!("{heading}.{field}"));
    let unseen: Vec<String> = all
        .filter(|field| !field.ends_with('…') && !fields.seen.contains(field))
        .collect();
    assert_eq!(unseen, WITHOUT_VALUE, "no run has a value of these");
}

/// Writes the inputs of the tiny model for one text.
fn write_tensors(path: &Path) {
    use candle_core::{Device, Tensor};
    let tensor =
        |values: [i64; 4]| Tensor::from_vec(values.to_vec(), (1, 4), &Device::Cpu).unwrap();
    let tensors = [
        ("input_ids", tensor([2, 7, 8, 3])),
        ("attention_mask", tensor([1; 4])),
        ("token_type_ids", tensor([0; 4])),
    ];
    candle_core::safetensors::save(&tensors.into(), path).unwrap();
}
