//! What a runner's own process weighs while it holds runs that wait for a person, its browsers not counted.

use serde_json::{Value, json};

use crate::stack::Stack;
use crate::{descendants, pss_kilobytes};

/// As many as a runner holds by default beside those that it works on.
const HELD: usize = 8;

/// Signs in as far as a person would be asked for a code, and asks.
const ASKS: &str = r#"
name: Asks
input:
  type: object
  properties: { baseUrl: { type: string, format: uri } }
  required: [baseUrl]
states:
  - name: opening_the_site
    steps:
      - goto: "{{ input.baseUrl }}/login"
      - screenshot: { fileName: login.png }
  - name: asking
    steps:
      - askUser: { prompt: Code, as: code, timeout: 30m }
"#;

pub(crate) fn report() {
    let mut stack = Stack::start(&[]);
    let runner = u32::try_from(stack.workers()[0]).expect("a process id");
    let idle = pss_kilobytes(runner);
    let workflow = stack.register(ASKS);
    let body = json!({
        "workflowId": workflow,
        "input": { "baseUrl": stack.setting("practiceSiteUrl") },
    });
    for _ in 0..HELD {
        let (status, run) = stack.call("apiKey", "POST", "/workflow-runs", Some(&body));
        assert_eq!(status, 201, "{run}");
        let id = run["id"].as_str().expect("an id").to_owned();
        stack.run_when(&id, "the run waits for a person", |run| {
            assert_eq!(run["failure"], Value::Null, "{run}");
            run["status"] == "AWAITING_USER_INPUT"
        });
    }
    let processes = descendants(runner);
    let megabytes = |kilobytes: u64| kilobytes as f64 / 1024.0;
    println!(
        "a runner that holds {HELD} sessions: {:.1} MB of its own (PSS), {:.1} MB when it was idle; it has {} processes \
         of browsers",
        megabytes(pss_kilobytes(runner)),
        megabytes(idle),
        processes.len() - 1
    );
    assert!(stack.stop().success());
}
