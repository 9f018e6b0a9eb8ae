//! Faults, caused for real: each ends in a typed error, none in a hang.

use std::path::Path;
use std::time::Instant;

use browser::{Browser, Error, LaunchOptions, Locator, find_or_install, remove_leftovers};

use crate::processes::{kill, members_of, processes_with};
use crate::{AGES, MARGIN, PATIENCE, QUICK, SOON, Stage};

fn entries(folder: &Path) -> usize {
    std::fs::read_dir(folder).unwrap().count()
}

#[tokio::test]
async fn a_crashed_renderer_is_an_error_at_once_and_for_ever() {
    let stage = Stage::at(&[("/", "")]).await;
    let begun = Instant::now();
    let failed = stage.page.goto("chrome://crash", AGES).await.unwrap_err();
    assert!(matches!(failed, Error::Crashed), "{failed:?}");
    let failed = stage
        .page
        .click(&Locator::css("p"), AGES)
        .await
        .unwrap_err();
    assert!(matches!(failed, Error::Crashed), "{failed:?}");
    assert!(begun.elapsed() < QUICK, "{:?}", begun.elapsed());
}

#[tokio::test]
async fn a_browser_killed_with_a_call_in_flight_is_closed_at_once() {
    let stage = Stage::at(&[("/", "")]).await;
    let page = stage.page.clone();
    let mut tasks = tokio::task::JoinSet::new();
    tasks.spawn(async move {
        let never = "new Promise(() => { window.waiting = true })";
        page.evaluate(never, AGES).await
    });
    while stage.value("window.waiting ?? false").await != "true" {}
    let begun = Instant::now();
    kill(stage.browser.process_id()).await;
    let failed = tasks.join_next().await.unwrap().unwrap().unwrap_err();
    assert!(matches!(failed, Error::Closed), "{failed:?}");
    assert!(begun.elapsed() < QUICK, "{:?}", begun.elapsed());
    assert!(!stage.browser.is_alive());
}

#[tokio::test]
async fn a_page_says_at_once_that_it_or_its_browser_has_gone_also_when_nothing_is_asked_of_it() {
    let stage = Stage::at(&[("/", "")]).await;
    let crashing = stage.page.open_page().await.unwrap();
    assert!(tokio::time::timeout(SOON, crashing.gone()).await.is_err());
    let (gone, _) = tokio::join!(crashing.gone(), crashing.goto("chrome://crash", PATIENCE));
    assert!(matches!(gone, Error::Crashed), "{gone:?}");
    let closed = stage.page.open_page().await.unwrap();
    closed.close(PATIENCE).await.unwrap();
    assert!(tokio::time::timeout(SOON, closed.gone()).await.is_err());
    let killing = kill(stage.browser.process_id());
    let (gone, also, ()) = tokio::join!(stage.page.gone(), closed.gone(), killing);
    assert!(matches!(gone, Error::Closed), "{gone:?}");
    assert!(matches!(also, Error::Closed), "{also:?}");
    let before = stage.page.gone().await;
    assert!(matches!(before, Error::Closed), "{before:?}");
}

#[tokio::test]
async fn closing_leaves_neither_process_nor_folder() {
    let stage = Stage::at(&[("/", "")]).await;
    let mark = stage.scratch.path().to_str().unwrap().to_owned();
    let group = stage.browser.process_id();
    assert!(stage.browser.is_alive());
    assert!(!processes_with(&mark).is_empty() && members_of(group).len() > 2);
    stage.browser.close().await;
    assert_eq!(processes_with(&mark), Vec::<u32>::new());
    assert_eq!(members_of(group), Vec::<u32>::new());
    assert_eq!(entries(stage.scratch.path()), 0);
    stage.site.quiet().await;
    let failed = stage.page.url().await.unwrap_err();
    assert!(matches!(failed, Error::Closed), "{failed:?}");
}

#[tokio::test]
async fn dropping_leaves_no_folder() {
    let stage = Stage::at(&[("/", "")]).await;
    drop(stage.browser);
    assert_eq!(entries(stage.scratch.path()), 0);
}

#[tokio::test]
async fn a_blocked_main_thread_ends_in_a_timeout_by_the_deadline() {
    let html = "<button>Go</button><script>addEventListener('hashchange', () => { while (true); })</script>";
    let stage = Stage::at(&[("/", html)]).await;
    stage
        .page
        .evaluate("void setTimeout(() => { while (true); })", PATIENCE)
        .await
        .unwrap();
    let begun = Instant::now();
    let failed = stage
        .page
        .click(&Locator::css("button"), SOON)
        .await
        .unwrap_err();
    assert!(matches!(failed, Error::TimedOut { .. }), "{failed:?}");
    assert!(begun.elapsed() < SOON + MARGIN, "{:?}", begun.elapsed());
    stage.browser.close().await;
}

#[tokio::test]
async fn a_program_that_is_no_browser_is_a_launch_error() {
    let scratch = tempfile::tempdir().unwrap();
    for program in ["/bin/false", "/no/such/program"] {
        let options = LaunchOptions::new(program, scratch.path());
        let failed = Browser::launch(&options).await.err().unwrap();
        assert!(matches!(failed, Error::Launch { .. }), "{failed:?}");
        assert_eq!(entries(scratch.path()), 0);
    }
}

#[tokio::test]
async fn what_a_dead_process_left_is_removed_and_what_a_living_one_has_is_not() {
    let scratch = tempfile::tempdir().unwrap();
    let options = LaunchOptions::new(find_or_install(&mut |_| {}).await.unwrap(), scratch.path());
    let browser = Browser::launch(&options).await.unwrap();
    // A process that has ended and was waited for: nobody has its id.
    let mut ended = tokio::process::Command::new("true").spawn().unwrap();
    let dead = ended.id().unwrap();
    ended.wait().await.unwrap();
    let left = scratch.path().join(format!("browser-{dead}-0"));
    std::fs::create_dir_all(left.join("profile")).unwrap();
    // Its browser lives on.
    let orphan = tokio::process::Command::new("sleep")
        .arg("1000")
        .env("HOME", left.join("home"))
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let group = orphan.id().unwrap();
    std::fs::write(left.join("group"), format!("{group} 1\n")).unwrap();

    assert_eq!(remove_leftovers(scratch.path()).unwrap(), 1);
    assert!(!left.exists());
    let mut orphan = orphan;
    assert!(!orphan.wait().await.unwrap().success());
    assert!(browser.is_alive());
    assert_eq!(entries(scratch.path()), 1);
    browser.close().await;
}

#[tokio::test]
async fn a_group_that_is_not_the_browser_is_left_alone() {
    let scratch = tempfile::tempdir().unwrap();
    let mut ended = tokio::process::Command::new("true").spawn().unwrap();
    let dead = ended.id().unwrap();
    ended.wait().await.unwrap();
    let left = scratch.path().join(format!("browser-{dead}-0"));
    std::fs::create_dir_all(&left).unwrap();
    let mut stranger = tokio::process::Command::new("sleep")
        .arg("1000")
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let group = stranger.id().unwrap();
    std::fs::write(left.join("group"), format!("{group} 1\n")).unwrap();
    assert_eq!(remove_leftovers(scratch.path()).unwrap(), 1);
    assert!(stranger.try_wait().unwrap().is_none(), "it was killed");
    stranger.kill().await.unwrap();
}

#[tokio::test]
async fn locale_time_zone_agent_and_headers_reach_the_page_and_the_server() {
    let site = crate::site::Site::start(&[("/", "<pre>{{request}}</pre>")]).await;
    let scratch = tempfile::tempdir().unwrap();
    let mut options =
        LaunchOptions::new(find_or_install(&mut |_| {}).await.unwrap(), scratch.path());
    options.locale = Some("de-DE".to_owned());
    options.time_zone = Some("Asia/Tokyo".to_owned());
    options.user_agent = Some("Legwork test".to_owned());
    options.extra_headers = vec![("X-Legwork".to_owned(), "yes".to_owned())];
    options.viewport = (800, 600);
    let browser = Browser::launch(&options).await.unwrap();
    let page = browser.page().await.unwrap();
    page.goto(&site.url("/"), PATIENCE).await.unwrap();
    let script = "[navigator.language, Intl.DateTimeFormat().resolvedOptions().timeZone, (1234.5).toLocaleString(), innerWidth, innerHeight].join(' ')";
    let seen = page.evaluate(script, PATIENCE).await.unwrap();
    assert_eq!(seen, "de-DE Asia/Tokyo 1.234,5 800 600");
    let request = page.text(&Locator::css("pre"), PATIENCE).await.unwrap();
    for header in [
        "User-Agent: Legwork test",
        "X-Legwork: yes",
        "Accept-Language: de-DE",
    ] {
        assert!(request.contains(header), "{header} in {request}");
    }
    browser.close().await;
}

#[tokio::test]
async fn every_name_goes_to_the_proxy_even_loopback() {
    let site = crate::site::Site::start(&[("/", "reached")]).await;
    // Nobody serves the proxy: what went around it would reach the site.
    let proxy = tokio::net::TcpSocket::new_v4().unwrap();
    proxy.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let scratch = tempfile::tempdir().unwrap();
    let mut options =
        LaunchOptions::new(find_or_install(&mut |_| {}).await.unwrap(), scratch.path());
    options.socks_proxy = Some(proxy.local_addr().unwrap());
    let browser = Browser::launch(&options).await.unwrap();
    let page = browser.page().await.unwrap();
    for url in [site.url("/"), site.url_elsewhere("/")] {
        let failed = page.goto(&url, PATIENCE).await.unwrap_err();
        match failed {
            Error::Navigation { reason, .. } => {
                assert!(
                    reason.contains("PROXY") || reason.contains("SOCKS"),
                    "{reason}"
                );
            }
            other => panic!("{other:?}"),
        }
    }
    browser.close().await;
}
