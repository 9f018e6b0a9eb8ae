//! How long it takes to validate a large workflow: `cargo bench -p domain --bench validation`.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use domain::definition::Definition;

/// How often it is validated.
const ROUNDS: usize = 200;

/// A workflow with 500 steps of the usual kinds, in ten states.
fn workflow() -> String {
    let mut text = String::from(
        "name: Large\ninput: { type: object, properties: { url: { type: string }, month: { type: string } } }\nstates:\n",
    );
    for state in 0..10 {
        let _ = writeln!(text, "  - name: state_{state}\n    steps:");
        for step in 0..10 {
            let n = state * 10 + step;
            text.push_str("      - goto: \"{{ input.url }}/page/{{ input.month | lower }}\"\n");
            text.push_str("      - fill: { label: Password, value: \"{{ secrets.password }}\" }\n");
            let _ = writeln!(
                text,
                "      - click: [{{ role: button, name: Save }}, {{ xpath: \"//button[contains(., 'Save')]\" }}]\n        when: {{ visible: \"form:not(.done) > div:nth-child({n} of .x)\", within: 2s }}"
            );
            let _ = writeln!(
                text,
                "      - extract: {{ rows: \"table#t{n} tbody tr\", fields: {{ a: \"td:nth-child(1)\", b: {{ css: td, type: number }} }}, as: rows_{n} }}"
            );
            let _ = writeln!(
                text,
                "      - set: {{ count_{n}: \"{{{{ rows_{n} | length + 1 if rows_{n} else 0 }}}}\" }}"
            );
        }
    }
    text
}

#[expect(clippy::print_stdout, reason = "printing is what it is for")]
fn main() {
    let text = workflow();
    let definition = Definition::parse_yaml(&text).expect("it is right");
    let steps: usize = definition
        .states
        .iter()
        .map(|state| state.steps.len())
        .sum();
    let json = definition.to_json().clone();
    let yaml = median(|| drop(Definition::parse_yaml(&text)));
    let json = median(|| drop(Definition::parse_json(&json)));
    println!(
        "{steps} steps, {} KB: YAML {yaml:.2?}, JSON {json:.2?} (medians of {ROUNDS})",
        text.len() / 1024
    );
}

fn median(mut work: impl FnMut()) -> Duration {
    let mut took: Vec<_> = (0..ROUNDS)
        .map(|_| {
            let began = Instant::now();
            work();
            began.elapsed()
        })
        .collect();
    took.sort_unstable();
    took[ROUNDS / 2]
}
