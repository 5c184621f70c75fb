//! The documents say what the program does: each metric is in its help and in README.md.

#![expect(clippy::unwrap_used, reason = "tests")]

use rtune_task::{Metric, Task};
use rtune_testkit::{root, rtune};

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
