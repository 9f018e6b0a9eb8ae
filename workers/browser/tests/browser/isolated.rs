//! Sites in processes of their own: a frame of another origin has a session of its own then, and
//! nobody can tell the difference.

use std::time::{Duration, Instant};

use browser::{
    Condition, Error, Locator, RecordingOptions, Redaction, ResponsePattern, Screenshot, Script,
    UrlPattern, World,
};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::processes::{kill, members_of};
use crate::{AGES, PATIENCE, QUICK, Stage};

const INNER: &str = "<p id=told></p><button onclick='this.innerText = event.isTrusted'>Go</button>
    <label>Name <input></label><label>Kind <select><option>a<option>b</select></label>
    <script>told.innerText = [navigator.language, Intl.DateTimeFormat().resolvedOptions().timeZone].join(' ')</script>";

/// A page with a frame of another origin, in a browser that keeps sites apart.
async fn stage(inner: &str) -> Stage {
    let pages = [("/", "<p>outer</p>"), ("/inner", inner), ("/data", "42")];
    let stage = Stage::with(&pages, |options| options.isolates_sites = Some(true)).await;
    stage.page.set_time_zone("Asia/Tokyo").await.unwrap();
    stage.page.set_identity(Some("de-DE"), None).await.unwrap();
    let script = format!(
        "const frame = document.createElement('iframe'); frame.src = '{}'; document.body.append(frame)",
        stage.site.url_elsewhere("/inner")
    );
    stage.page.evaluate(&script, PATIENCE).await.unwrap();
    stage
}

fn inner(selector: &str) -> Locator {
    Locator::css(selector).in_frame(Locator::css("iframe"))
}

/// Makes sure that the frame is there and has a process of its own.
async fn in_its_own_process(stage: &Stage) {
    // It is there when something in the frame is.
    stage.page.text(&inner("button"), PATIENCE).await.unwrap();
    let targets = stage
        .page
        .protocol("Target.getTargets", json!({}), PATIENCE)
        .await
        .unwrap();
    let mut targets = targets["targetInfos"].as_array().unwrap().iter();
    assert!(targets.any(|target| target["type"] == "iframe"));
}

/// The frame's renderer: the one that is busy while the frame is.
async fn frame_process(stage: &Stage) -> u32 {
    let ticks = |process: &u32| {
        let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
        let fields = stat.rsplit_once(") ").map_or("", |(_, rest)| rest);
        let times = fields.split(' ').skip(11).take(2);
        times
            .filter_map(|ticks| ticks.parse::<u64>().ok())
            .sum::<u64>()
    };
    let all = members_of(stage.browser.process_id());
    let before: Vec<u64> = all.iter().map(ticks).collect();
    let busy = Script {
        frame: Some(Locator::css("iframe")),
        ..Script::new(
            "() => { const end = performance.now() + 500; while (performance.now() < end); }",
        )
    };
    // Until it is ahead of all others by so much as these never get together.
    loop {
        stage.page.run(&busy, PATIENCE).await.unwrap();
        let grown = all.iter().zip(&before);
        let mut grown: Vec<(u64, u32)> = grown
            .map(|(process, before)| (ticks(process).saturating_sub(*before), *process))
            .collect();
        grown.sort_unstable_by(|a, b| b.cmp(a));
        if grown[0].0 >= grown[1].0 + 30 {
            return grown[0].1;
        }
    }
}

#[tokio::test]
async fn a_frame_in_a_process_of_its_own_is_read_acted_in_and_told_the_same() {
    let stage = stage(INNER).await;
    let page = &stage.page;
    in_its_own_process(&stage).await;
    let told = page.text(&inner("#told"), PATIENCE).await.unwrap();
    assert_eq!(told, "de-DE Asia/Tokyo");
    page.click(&inner("button"), PATIENCE).await.unwrap();
    let clicked = page.text(&inner("button"), PATIENCE).await.unwrap();
    assert_eq!(clicked, "true");
    let name = Locator::label("Name").in_frame(Locator::css("iframe"));
    page.fill(&name, "Ada", PATIENCE).await.unwrap();
    page.press_on(&name, "End", PATIENCE).await.unwrap();
    page.type_text(&name, "!", Duration::ZERO, PATIENCE)
        .await
        .unwrap();
    let kind = Locator::label("Kind").in_frame(Locator::css("iframe"));
    page.select_option(&kind, "b", PATIENCE).await.unwrap();
    let script = Script {
        frame: Some(Locator::css("iframe")),
        world: World::Isolated,
        ..Script::new(
            "() => document.querySelector('input').value + document.querySelector('select').value",
        )
    };
    assert_eq!(page.run(&script, PATIENCE).await.unwrap(), "Ada!b");
    let picture = Screenshot {
        element: Some(inner("button")),
        ..Screenshot::default()
    };
    let picture = page.screenshot(&picture).await.unwrap();
    assert!(picture.starts_with(b"\x89PNG"));
    let copy = page.dom_copy(&Redaction::default()).await.unwrap();
    assert!(copy.contains("value=&quot;Ada!&quot;"), "{copy}");
}

#[tokio::test]
async fn a_click_in_a_frame_whose_document_was_long_on_its_way_arrives() {
    let pages = [("/", "<p>outer</p>"), ("/gated", INNER)];
    let stage = Stage::with(&pages, |options| options.isolates_sites = Some(true)).await;
    let (page, button) = (&stage.page, inner("button"));
    for round in 1..=5 {
        // A frame's clock begins with its navigation.
        let script = format!(
            "(async () => {{
                document.querySelector('iframe')?.remove();
                const frame = document.createElement('iframe');
                frame.src = '{}?{round}';
                document.body.append(frame);
                await new Promise((resolve) => setTimeout(resolve, 1100));
            }})()",
            stage.site.url_elsewhere("/gated")
        );
        page.evaluate(&script, PATIENCE).await.unwrap();
        stage.site.come_to_the_gate(round).await;
        stage.site.gate.add_permits(1);
        page.click(&button, PATIENCE).await.unwrap();
        assert_eq!(page.text(&button, PATIENCE).await.unwrap(), "true");
    }
}

#[tokio::test]
async fn what_a_frame_in_a_process_of_its_own_asks_for_is_heard() {
    let stage = stage(INNER).await;
    in_its_own_process(&stage).await;
    let recording = stage.browser.record(RecordingOptions::default());
    let pattern = ResponsePattern::from(UrlPattern::glob("*/data"));
    let waiter = stage.page.expect_response(pattern).unwrap();
    let script = Script {
        frame: Some(Locator::css("iframe")),
        ..Script::new(
            "() => { console.log('from inside'); return fetch('/data').then((a) => a.text()) }",
        )
    };
    let fetched = stage.page.run(&script, PATIENCE).await.unwrap();
    assert_eq!(fetched, "42");
    let mut response = waiter.wait(PATIENCE).await.unwrap();
    assert_eq!(response.body(PATIENCE).await.unwrap(), b"42");
    let recorded = recording.finish().await;
    assert_eq!(recorded.console[0].text, "from inside");
    let har = recorded.har.unwrap();
    let url = Value::from(stage.site.url_elsewhere("/data"));
    assert_eq!(har["log"]["entries"][0]["request"]["url"], url);
}

#[tokio::test]
async fn a_popup_of_a_frame_in_a_process_of_its_own_is_its_pages() {
    let stage = stage("<button onclick=\"window.open('/data')\">Go</button>").await;
    in_its_own_process(&stage).await;
    let popup = stage.page.expect_page();
    stage.page.click(&inner("button"), PATIENCE).await.unwrap();
    let popup = popup.wait(PATIENCE).await.unwrap();
    assert!(popup.opener().unwrap().is_same_as(&stage.page));
    let text = popup.text(&Locator::css("body"), PATIENCE).await.unwrap();
    assert_eq!(text, "42");
}

#[tokio::test]
async fn a_frame_whose_process_crashes_is_an_error_and_its_page_goes_on() {
    let stage = stage(INNER).await;
    let page = &stage.page;
    in_its_own_process(&stage).await;
    let renderer = frame_process(&stage).await;
    let mut waiting = JoinSet::new();
    let same = page.clone();
    waiting.spawn(async move { same.click(&inner("#never"), AGES).await });
    page.text(&inner("button"), PATIENCE).await.unwrap();
    let begun = Instant::now();
    kill(renderer).await;
    let visible = Condition::Visible(inner("button"));
    let outcomes = [
        waiting.join_next().await.unwrap().unwrap(),
        page.click(&inner("button"), AGES).await,
        page.count(&inner("button")).await.map(drop),
        page.wait_for(&visible, AGES).await,
    ];
    for outcome in outcomes {
        assert!(matches!(outcome, Err(Error::Crashed)), "{outcome:?}");
    }
    assert!(begun.elapsed() < QUICK, "{:?}", begun.elapsed());
    let outer = page.text(&Locator::css("p"), PATIENCE).await.unwrap();
    assert_eq!(outer, "outer");
    let copy = page.dom_copy(&Redaction::default()).await.unwrap();
    assert!(copy.contains("outer"), "{copy}");
    page.screenshot(&Screenshot::default()).await.unwrap();
    // Another document brings the frame back.
    let script = "document.querySelector('iframe').src += '?again'";
    page.evaluate(script, PATIENCE).await.unwrap();
    page.click(&inner("button"), PATIENCE).await.unwrap();
}
