//! What one organization may see of another: nothing.

use serde_json::json;

use crate::stack::Stack;

#[test]
fn another_organization_sees_neither_run_nor_workflow_and_a_viewer_creates_nothing() {
    let stack = Stack::start(&[]);
    let workflow = stack.register_sample();
    let run = stack.create_run(&workflow, "empty=on");
    let unknown = "019a9f6e-0d3a-7b6c-8a53-3f1f0c6f2b11";
    for (theirs, none) in [
        (
            format!("/workflow-runs/{run}"),
            format!("/workflow-runs/{unknown}"),
        ),
        (
            format!("/workflow-runs/{run}/artifacts"),
            format!("/workflow-runs/{unknown}/artifacts"),
        ),
        (
            format!("/workflows/{workflow}"),
            format!("/workflows/{unknown}"),
        ),
    ] {
        let (status, problem) = stack.call("secondOrgApiKey", "GET", &theirs, None);
        assert_eq!(status, 404, "{theirs}");
        // Nothing but the id tells another's resource from one that doesn't exist.
        let (_, other) = stack.call("secondOrgApiKey", "GET", &none, None);
        let (problem, other) = (problem.to_string(), other.to_string());
        assert_eq!(
            problem.replace(&run, "id").replace(&workflow, "id"),
            other.replace(unknown, "id")
        );
    }
    let body = json!({ "workflowId": workflow, "input": {} });
    assert_eq!(
        stack
            .call("secondOrgApiKey", "POST", "/workflow-runs", Some(&body))
            .0,
        404
    );
    assert_eq!(
        stack
            .call("viewerApiKey", "POST", "/workflow-runs", Some(&body))
            .0,
        403
    );
    assert_eq!(
        stack
            .call(
                "viewerApiKey",
                "GET",
                &format!("/workflow-runs/{run}"),
                None
            )
            .0,
        200
    );
}
