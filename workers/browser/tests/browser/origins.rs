//! Pages are kept to the origins that are allowed, whatever leads them elsewhere.

use browser::{Condition, Error, HttpCredentials, Locator};

use crate::{PATIENCE, Stage};

/// A page from which many ways lead to the other origin of the site.
const WAYS: &str = r#"
    <a id="link" href="{{elsewhere}}/there">x</a>
    <form method="post" action="{{elsewhere}}/there"><button id="form">x</button></form>
    <button id="script" onclick="location = '{{elsewhere}}/there'">x</button>
    <button id="late" onclick="setTimeout(() => { location = '{{elsewhere}}/there' }, 100)">x</button>
    <a id="redirect" href="/hop">x</a>
    <form method="post" action="/post-hop"><button id="post-redirect">x</button></form>
    <a id="refresh" href="/refresh">x</a>
    <a id="blank" target="_blank" href="{{elsewhere}}/there">x</a>
    <a id="blank-redirect" target="_blank" rel="opener" href="/hop">x</a>
    <button id="open" onclick="window.open('{{elsewhere}}/there')">x</button>
    <button id="open-later" onclick="const w = window.open(); setTimeout(() => { w.location = '{{elsewhere}}/there' }, 100)">x</button>
    <a id="here" href="/around">x</a>"#;

/// What the other origin's pages leave behind, if they are asked for.
const THERE: &str = "HTTP 200 OK\nContent-Type: text/html\nSet-Cookie: been=there\n\n<p>There</p>";

fn pages() -> [(&'static str, &'static str); 8] {
    [
        ("/", WAYS),
        ("/there", THERE),
        ("/hop", "HTTP 302 Found\nLocation: /hop2"),
        ("/hop2", "HTTP 302 Found\nLocation: {{elsewhere}}/there"),
        (
            "/post-hop",
            "HTTP 307 Temporary Redirect\nLocation: {{elsewhere}}/there",
        ),
        (
            "/refresh",
            "<meta http-equiv=refresh content='0; url={{elsewhere}}/there'>",
        ),
        ("/around", "HTTP 302 Found\nLocation: /arrived"),
        ("/arrived", "<p>Arrived</p>"),
    ]
}

fn by_id(id: &str) -> Locator {
    Locator::css(format!("#{id}"))
}

async fn keep_home(stage: &Stage) {
    let home = stage.site.url("");
    stage.page.allow_origins(&[home]).await.unwrap();
}

/// Checks that a call was kept from the other origin.
#[track_caller]
fn assert_refused<T: std::fmt::Debug>(stage: &Stage, what: &str, result: Result<T, Error>) {
    let elsewhere = stage.site.url_elsewhere("");
    match result {
        Err(Error::OriginRefused { origin }) => assert_eq!(origin, elsewhere, "{what}"),
        other => panic!("{what}: {other:?}"),
    }
}

async fn assert_never_there(stage: &Stage) {
    assert!(stage.page.cookies().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_click_that_leads_to_another_origin_fails_at_once() {
    let stage = Stage::at(&pages()).await;
    keep_home(&stage).await;
    for way in ["link", "form", "script"] {
        let clicked = stage.page.click(&by_id(way), PATIENCE).await;
        assert_refused(&stage, way, clicked);
        stage
            .page
            .goto(&stage.site.url("/"), PATIENCE)
            .await
            .unwrap();
    }
    assert_never_there(&stage).await;
}

#[tokio::test]
async fn no_way_leads_to_another_origin_and_what_is_awaited_then_fails() {
    let stage = Stage::at(&pages()).await;
    keep_home(&stage).await;
    let never = Condition::Visible(Locator::text("There"));
    let ways = [
        "late",
        "redirect",
        "post-redirect",
        "refresh",
        "blank",
        "blank-redirect",
        "open",
        "open-later",
    ];
    for way in ways {
        let led = match stage.page.click(&by_id(way), PATIENCE).await {
            Ok(()) => stage.page.wait_for(&never, PATIENCE).await,
            failed => failed,
        };
        assert_refused(&stage, way, led);
        stage
            .page
            .goto(&stage.site.url("/"), PATIENCE)
            .await
            .unwrap();
    }
    for url in [stage.site.url_elsewhere("/there"), stage.site.url("/hop")] {
        let gone = stage.page.goto(&url, PATIENCE).await;
        assert_refused(&stage, &url, gone);
    }
    assert_never_there(&stage).await;
}

#[tokio::test]
async fn a_download_from_another_origin_is_not_waited_for() {
    let stage = Stage::at(&pages()).await;
    keep_home(&stage).await;
    let waiter = stage.page.expect_download();
    let led = match stage.page.click(&by_id("late"), PATIENCE).await {
        Ok(()) => waiter.wait(PATIENCE).await.map(drop),
        failed => failed,
    };
    assert_refused(&stage, "late", led);
}

#[tokio::test]
async fn what_is_allowed_is_gone_to_over_redirects_and_in_new_pages() {
    let stage = Stage::at(&pages()).await;
    keep_home(&stage).await;
    stage.page.click(&by_id("here"), PATIENCE).await.unwrap();
    let arrived = Condition::Visible(Locator::text("Arrived"));
    stage.page.wait_for(&arrived, PATIENCE).await.unwrap();
    let other = stage.page.open_page().await.unwrap();
    for empty in ["about:blank", "data:text/html,<p>Arrived</p>"] {
        other.goto(empty, PATIENCE).await.unwrap();
    }
    stage
        .value("open(URL.createObjectURL(new Blob(['<p>Blob</p>'], {type: 'text/html'}))) && 1")
        .await;
    let both = [stage.site.url(""), stage.site.url_elsewhere("")];
    other.allow_origins(&both).await.unwrap();
    let arrival = stage.page.goto(&stage.site.url("/hop"), PATIENCE).await;
    assert_eq!(arrival.unwrap().url, stage.site.url_elsewhere("/there"));
}

#[tokio::test]
async fn a_form_with_much_in_it_is_sent_to_where_it_may_go() {
    let form = r#"<form method="post" action="/arrived"><input type="hidden" name="x"><button>x</button></form>
        <script>document.querySelector("input").value = "x".repeat(10 << 20)</script>"#;
    let stage = Stage::at(&[("/", form), ("/arrived", "<p>Arrived</p>")]).await;
    keep_home(&stage).await;
    let button = Locator::css("button");
    stage.page.click(&button, PATIENCE).await.unwrap();
    let arrived = Condition::Visible(Locator::text("Arrived"));
    stage.page.wait_for(&arrived, PATIENCE).await.unwrap();
}

#[tokio::test]
async fn frames_of_other_origins_still_load() {
    for isolates_sites in [false, true] {
        let html = r#"<iframe src="{{elsewhere}}/inner"></iframe>"#;
        let site = [("/", ""), ("/outer", html), ("/inner", "<p>Inside</p>")];
        let stage = Stage::with(&site, |options| {
            options.isolates_sites = Some(isolates_sites);
        })
        .await;
        keep_home(&stage).await;
        stage
            .page
            .goto(&stage.site.url("/outer"), PATIENCE)
            .await
            .unwrap();
        let inside = Locator::text("Inside").in_frame(Locator::css("iframe"));
        stage
            .page
            .wait_for(&Condition::Visible(inside), PATIENCE)
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn a_frame_of_another_origin_does_not_lead_its_page_there() {
    let frame = r#"<a id="top" target="_top" href="/there">x</a>
        <a id="blank" target="_blank" href="/there">x</a>"#;
    let outer = r#"<iframe src="{{elsewhere}}/frame"></iframe>"#;
    let site = [("/", outer), ("/frame", frame), ("/there", THERE)];
    for isolates_sites in [false, true] {
        let stage = Stage::with(&site, |options| {
            options.isolates_sites = Some(isolates_sites);
        })
        .await;
        keep_home(&stage).await;
        for way in ["blank", "top"] {
            let link = by_id(way).in_frame(Locator::css("iframe"));
            let never = Condition::Visible(Locator::text("There"));
            let led = match stage.page.click(&link, PATIENCE).await {
                Ok(()) => stage.page.wait_for(&never, PATIENCE).await,
                failed => failed,
            };
            assert_refused(&stage, way, led);
        }
        assert_never_there(&stage).await;
    }
}

#[tokio::test]
async fn origins_and_credentials_do_not_take_each_other_away() {
    let asking = "HTTP 401 Unauthorized\nWWW-Authenticate: Basic realm=\"x\"\nContent-Type: text/html\n\n<pre>{{request}}</pre>";
    let stage = Stage::at(&[("/", ""), ("/asking", asking), ("/there", THERE)]).await;
    let page = &stage.page;
    let credentials = HttpCredentials {
        origin: stage.site.url(""),
        username: "ada".to_owned(),
        password: "canary".to_owned(),
    };
    let elsewhere = stage.site.url_elsewhere("/there");
    let asking = stage.site.url("/asking");
    keep_home(&stage).await;
    page.set_http_credentials(Some(credentials)).await.unwrap();
    page.goto(&asking, PATIENCE).await.unwrap();
    let sent = stage.value("document.body.textContent").await;
    assert!(sent.contains("Authorization: Basic"), "{sent}");
    assert_refused(&stage, "with both", page.goto(&elsewhere, PATIENCE).await);
    page.set_http_credentials(None).await.unwrap();
    assert_refused(&stage, "with one", page.goto(&elsewhere, PATIENCE).await);
    page.allow_origins(&[]).await.unwrap();
    page.goto(&elsewhere, PATIENCE).await.unwrap();
}

#[tokio::test]
async fn what_a_service_worker_answers_is_kept_away_too() {
    let register = "<p>There</p><script>
        navigator.serviceWorker.register('/worker.js');
        navigator.serviceWorker.ready.then(() => { document.title = 'ready' })</script>";
    let worker = "HTTP 200 OK\nContent-Type: text/javascript\n\n
        onfetch = (event) => event.respondWith(new Response('<p>From the worker</p>', {headers: {'Content-Type': 'text/html'}}))";
    let stage = Stage::at(&[("/", WAYS), ("/there", register), ("/worker.js", worker)]).await;
    let page = &stage.page;
    page.goto(&stage.site.url_elsewhere("/there"), PATIENCE)
        .await
        .unwrap();
    let ready = Condition::Expression("document.title === 'ready'".to_owned());
    page.wait_for(&ready, PATIENCE).await.unwrap();
    page.goto(&stage.site.url("/"), PATIENCE).await.unwrap();
    keep_home(&stage).await;
    let led = match page.click(&by_id("link"), PATIENCE).await {
        Ok(()) => {
            page.wait_for(&Condition::Visible(Locator::text("never")), PATIENCE)
                .await
        }
        failed => failed,
    };
    assert_refused(&stage, "link", led);
    let left = Condition::Hidden(Locator::text("From the worker"));
    page.wait_for(&left, PATIENCE).await.unwrap();
    assert_eq!(page.url().await.unwrap(), "about:blank");
}
