//! Scripts of the caller's.

use browser::{Error, Locator, Script, World};
use serde_json::json;

use crate::{PATIENCE, Stage};

#[tokio::test]
async fn a_function_gets_its_arguments_and_gives_its_value() {
    let stage = Stage::at(&[("/", "")]).await;
    let script = Script {
        arguments: vec![json!({"a": [1, "\u{2028}\"</script>"]}), json!(null)],
        ..Script::new("async (x, y) => ({ x, y, n: arguments.length })")
    };
    let failed = stage.page.run(&script, PATIENCE).await.unwrap_err();
    assert!(
        failed.to_string().contains("arguments is not defined"),
        "{failed}"
    );
    let script = Script {
        function: "async (x, y) => ({ x, y })".to_owned(),
        ..script
    };
    let value = stage.page.run(&script, PATIENCE).await.unwrap();
    assert_eq!(value, json!({"x": script.arguments[0], "y": null}));
}

#[tokio::test]
async fn a_rejected_promise_is_the_scripts_error() {
    let stage = Stage::at(&[("/", "")]).await;
    for (function, expected) in [
        ("() => Promise.reject(new TypeError('no'))", "TypeError: no"),
        ("() => Promise.reject('plain')", "plain"),
        ("() => { throw { code: 7 } }", "Object"),
        ("() => {", "SyntaxError"),
    ] {
        let failed = stage.page.run(&Script::new(function), PATIENCE).await;
        let failed = failed.unwrap_err();
        assert!(
            matches!(&failed, Error::Script { message } if message.contains(expected)),
            "{failed:?}"
        );
    }
}

#[tokio::test]
async fn the_isolated_world_shares_the_document_but_no_variables() {
    let html =
        "<p>words</p><script>window.mine = 1; document.querySelector = () => 'replaced'</script>";
    let stage = Stage::at(&[("/", html)]).await;
    let look = |world| Script {
        world,
        ..Script::new("() => [typeof mine, document.querySelector('p').innerText ?? null]")
    };
    let page = stage.page.run(&look(World::Page), PATIENCE).await.unwrap();
    assert_eq!(page, json!(["number", null]));
    let isolated = stage.page.run(&look(World::Isolated), PATIENCE).await;
    assert_eq!(isolated.unwrap(), json!(["undefined", "words"]));
}

#[tokio::test]
async fn a_script_runs_in_a_frame_of_either_origin() {
    let inner = "<script>window.who = location.host.split(':')[0]</script>";
    let stage = Stage::at(&[("/", "<p>outer</p>"), ("/inner", inner)]).await;
    for (index, url) in [stage.site.url("/inner"), stage.site.url_elsewhere("/inner")]
        .iter()
        .enumerate()
    {
        let add = format!(
            "{{ const frame = document.createElement('iframe'); frame.src = '{url}'; frame.id = 'f{index}'; document.body.append(frame) }}"
        );
        stage.page.evaluate(&add, PATIENCE).await.unwrap();
        let script = Script {
            frame: Some(Locator::css(format!("#f{index}"))),
            ..Script::new("() => who")
        };
        let who = stage.page.run(&script, PATIENCE).await.unwrap();
        assert_eq!(who, ["127.0.0.1", "localhost"][index]);
    }
}

#[tokio::test]
async fn a_pages_worker_runs() {
    let worker = "HTTP 200 OK\nContent-Type: text/javascript\n\nonmessage = async ({ data }) => postMessage(data + await (await fetch('/data')).text())";
    let stage = Stage::at(&[("/", ""), ("/worker.js", worker), ("/data", "42")]).await;
    let script = "new Promise((resolve) => {
        const worker = new Worker('/worker.js');
        worker.onmessage = ({ data }) => resolve(data);
        worker.onerror = () => resolve('error');
        worker.postMessage('fetched ');
    })";
    assert_eq!(stage.value(script).await, "fetched 42");
}
