//! Prints the JSON Schema of workflow definitions, as it is checked in: docs/workflow.schema.json.

#[expect(clippy::print_stdout, reason = "printing is what it is for")]
fn main() {
    println!("{:#}", domain::definition::json_schema());
}
