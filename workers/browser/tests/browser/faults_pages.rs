//! Pages and servers that don't answer, or go away in the middle: each ends in a typed error by its
//! deadline, none in a hang, and the browser can still be closed.

use std::time::{Duration, Instant};

use browser::{Condition, Error, LoadState, Locator, Screenshot};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::{AGES, MARGIN, PATIENCE, QUICK, SOON, Stage};

/// A page whose main thread never comes back.
async fn busy() -> Stage {
    let stage = Stage::at(&[("/", "<button>Go</button>"), ("/other", "other")]).await;
    let block = "void setTimeout(() => { while (true); })";
    stage.page.evaluate(block, PATIENCE).await.unwrap();
    stage
}

fn assert_timed_out<T: std::fmt::Debug>(outcome: Result<T, Error>, begun: Instant) {
    let failed = outcome.unwrap_err();
    assert!(matches!(failed, Error::TimedOut { .. }), "{failed:?}");
    assert!(begun.elapsed() < SOON + MARGIN, "{:?}", begun.elapsed());
}

#[tokio::test]
async fn a_busy_page_times_out_what_is_asked_of_it() {
    let stage = busy().await;
    let page = &stage.page;
    let button = Locator::css("button");
    let begun = Instant::now();
    assert_timed_out(page.click(&button, SOON).await, begun);
    let begun = Instant::now();
    assert_timed_out(page.fill(&button, "x", SOON).await, begun);
    let begun = Instant::now();
    assert_timed_out(page.evaluate("1", SOON).await, begun);
    let begun = Instant::now();
    let condition = Condition::Visible(button);
    assert_timed_out(page.wait_for(&condition, SOON).await, begun);
    let begun = Instant::now();
    stage.browser.close().await;
    assert!(begun.elapsed() < PATIENCE);
}

#[tokio::test]
async fn a_picture_of_a_busy_page_is_given_up_in_the_end() {
    let stage = busy().await;
    let begun = Instant::now();
    let failed = stage.page.screenshot(&Screenshot::default()).await;
    let failed = failed.unwrap_err();
    assert!(matches!(failed, Error::TimedOut { .. }), "{failed:?}");
    // The client's own deadline for what is given none.
    assert!(begun.elapsed() < Duration::from_secs(30) + MARGIN);
}

#[tokio::test]
async fn a_busy_page_can_be_left_or_says_that_it_cannot() {
    let stage = busy().await;
    let begun = Instant::now();
    match stage.page.goto(&stage.site.url("/other"), SOON).await {
        Ok(_) => assert_eq!(stage.value("document.body.innerText").await, "other"),
        outcome => assert_timed_out(outcome, begun),
    }
    let begun = Instant::now();
    stage.browser.close().await;
    assert!(begun.elapsed() < PATIENCE);
}

#[tokio::test]
async fn a_script_that_never_ends_is_stopped_and_the_page_goes_on() {
    let stage = Stage::at(&[("/", "")]).await;
    let begun = Instant::now();
    assert_timed_out(stage.page.evaluate("while (true);", SOON).await, begun);
    assert_eq!(stage.value("1 + 1").await, "2");
}

#[tokio::test]
async fn a_frame_that_goes_away_in_the_middle_of_an_action_is_looked_for_until_the_deadline() {
    let html = "<iframe src='/inner'></iframe><iframe src='/inner'></iframe>";
    let inner = "<button disabled>Go</button>";
    let stage = Stage::at(&[("/", html), ("/inner", inner)]).await;
    let frame = Locator {
        nth: Some(0),
        ..Locator::css("iframe")
    };
    let button = Locator::css("button").in_frame(frame);
    let page = stage.page.clone();
    let mut acting = JoinSet::new();
    let patience = Duration::from_secs(2);
    acting.spawn(async move { page.click(&button, patience).await });
    let script = "new Promise((resolve) => setTimeout(resolve, 200)).then(() => document.querySelectorAll('iframe').forEach((f) => f.remove()))";
    let begun = Instant::now();
    stage.page.evaluate(script, PATIENCE).await.unwrap();
    let failed = acting.join_next().await.unwrap().unwrap().unwrap_err();
    assert!(
        matches!(failed, Error::NotFound { .. } | Error::NotActionable { .. }),
        "{failed:?}"
    );
    assert!(begun.elapsed() < patience + MARGIN);
    stage.value("1").await;
}

#[tokio::test]
async fn a_popup_that_closes_in_the_middle_of_an_action_ends_the_action() {
    let stage = Stage::at(&[("/", ""), ("/popup", "<button disabled>Go</button>")]).await;
    let popup = stage.page.expect_page();
    let open = "void (window.popup = open('/popup'))";
    stage.page.evaluate(open, PATIENCE).await.unwrap();
    let popup = popup.wait(PATIENCE).await.unwrap();
    let mut acting = JoinSet::new();
    let page = popup.clone();
    acting.spawn(async move { page.click(&Locator::css("button"), AGES).await });
    popup.text(&Locator::css("button"), PATIENCE).await.unwrap();
    let begun = Instant::now();
    stage
        .page
        .evaluate("popup.close()", PATIENCE)
        .await
        .unwrap();
    let failed = acting.join_next().await.unwrap().unwrap().unwrap_err();
    assert!(matches!(failed, Error::Detached), "{failed:?}");
    assert!(begun.elapsed() < QUICK, "{:?}", begun.elapsed());
    assert_eq!(stage.value("1").await, "1");
}

#[tokio::test]
async fn a_dialog_in_the_middle_of_a_wait_does_not_stop_it() {
    let html = "<script>setTimeout(() => { alert('in the way'); document.body.innerHTML = '<button>Go</button>' }, 100)</script>";
    let stage = Stage::at(&[("/", html)]).await;
    stage
        .page
        .click(&Locator::css("button"), PATIENCE)
        .await
        .unwrap();
    assert_eq!(stage.page.dialogs().len(), 1);
}

/// A server that says this much to everybody, and then holds the connection.
async fn holding(said: &'static str) -> (String, JoinSet<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let mut serving = JoinSet::new();
    serving.spawn(async move {
        let mut held = Vec::new();
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = [0; 4096];
            let _ = stream.read(&mut request).await;
            let _ = stream.write_all(said.as_bytes()).await;
            held.push(stream);
        }
    });
    (url, serving)
}

#[tokio::test]
async fn a_server_that_never_answers_times_out_and_the_page_can_go_elsewhere() {
    let stage = Stage::at(&[("/", "here")]).await;
    let (url, _serving) = holding("").await;
    let begun = Instant::now();
    assert_timed_out(stage.page.goto(&url, SOON).await, begun);
    stage
        .page
        .goto(&stage.site.url("/"), PATIENCE)
        .await
        .unwrap();
    assert_eq!(stage.value("document.body.innerText").await, "here");
}

#[tokio::test]
async fn half_of_a_body_times_out_and_what_came_can_be_read() {
    let stage = Stage::at(&[("/", "here")]).await;
    let (url, _serving) = holding(
        "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 1000\r\n\r\n<title>T</title><p>half</p>",
    )
    .await;
    let begun = Instant::now();
    assert_timed_out(stage.page.goto(&url, SOON).await, begun);
    let came = stage.page.text(&Locator::css("p"), PATIENCE).await.unwrap();
    assert_eq!(came, "half");
}

#[tokio::test]
async fn a_download_whose_server_stops_in_the_middle_fails_by_its_deadline() {
    let half = "HTTP 200 OK\nContent-Disposition: attachment; filename=half.bin\nContent-Length: 1000\n\nhalf";
    let stage = Stage::at(&[("/", "<a href=/half>Half</a>"), ("/half", half)]).await;
    let download = stage.page.expect_download();
    let begun = Instant::now();
    stage
        .page
        .click(&Locator::css("a"), PATIENCE)
        .await
        .unwrap();
    let failed = download.wait(PATIENCE).await.unwrap_err();
    assert!(
        matches!(failed, Error::Download { .. } | Error::TimedOut { .. }),
        "{failed:?}"
    );
    assert!(begun.elapsed() < PATIENCE + MARGIN);
}

#[tokio::test]
async fn a_page_that_always_goes_elsewhere_keeps_every_deadline_and_can_be_pictured() {
    let html = "<button>Go</button><script>setTimeout(() => { location.href = '/again?' + Math.random() }, 20)</script>";
    let stage = Stage::at(&[("/", ""), ("/again", html)]).await;
    let page = &stage.page;
    let go = stage.site.url("/again");
    let went = page.goto_until(&go, LoadState::Committed, PATIENCE).await;
    went.unwrap();
    let begun = Instant::now();
    let never = Condition::All(vec![
        Condition::Visible(Locator::css("button")),
        Condition::Expression("!document.querySelector('button')".to_owned()),
    ]);
    assert_timed_out(page.wait_for(&never, SOON).await, begun);
    let picture = page.screenshot(&Screenshot::default()).await.unwrap();
    assert!(picture.starts_with(b"\x89PNG"));
    assert!(begun.elapsed() < PATIENCE, "{:?}", begun.elapsed());
    stage.browser.close().await;
}

#[tokio::test]
async fn a_time_out_without_end_is_one() {
    let stage = Stage::at(&[("/", "<button>Go</button>")]).await;
    let button = Locator::css("button");
    stage.page.click(&button, Duration::MAX).await.unwrap();
    let visible = Condition::Visible(button);
    stage.page.wait_for(&visible, Duration::MAX).await.unwrap();
    stage.page.evaluate("1", Duration::MAX).await.unwrap();
}

#[tokio::test]
async fn a_step_on_a_busy_page_says_which_element_it_waited_for() {
    let stage = busy().await;
    let button = Locator::css("button");
    let failed = stage.page.click(&button, SOON).await.unwrap_err();
    assert!(failed.to_string().contains("css=button"), "{failed}");
}
