//! Parts of a browser that die or stop answering, caused for real: each ends in a typed error, and
//! the browser can still be closed.

use std::path::PathBuf;
use std::pin::pin;
use std::time::{Duration, Instant};

use browser::{
    Browser, Condition, Error, LaunchOptions, Locator, Screenshot, find_or_install,
    remove_leftovers,
};
use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::processes::{kill, members_of, process_of, write_program};
use crate::{PATIENCE, QUICK, SOON, Stage};

async fn close(stage: Stage) {
    let begun = Instant::now();
    let group = stage.browser.process_id();
    stage.browser.close().await;
    assert!(begun.elapsed() < QUICK, "{:?}", begun.elapsed());
    assert_eq!(members_of(group), Vec::<u32>::new());
}

#[tokio::test]
async fn a_killed_network_service_fails_what_is_on_its_way_and_comes_back() {
    let stage = Stage::at(&[("/", "<p>here</p>")]).await;
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", silent.local_addr().unwrap());
    let page = stage.page.clone();
    let mut going = JoinSet::new();
    going.spawn(async move { page.goto(&url, PATIENCE).await });
    let (_held, _) = silent.accept().await.unwrap();
    let begun = Instant::now();
    kill(process_of(
        stage.browser.process_id(),
        "network.mojom.NetworkService",
    ))
    .await;
    let failed = going.join_next().await.unwrap().unwrap().unwrap_err();
    assert!(matches!(failed, Error::Navigation { .. }), "{failed:?}");
    assert!(begun.elapsed() < QUICK);
    stage
        .page
        .goto(&stage.site.url("/"), PATIENCE)
        .await
        .unwrap();
    assert_eq!(stage.value("document.body.innerText").await, "here");
    close(stage).await;
}

#[tokio::test]
async fn a_killed_gpu_process_comes_back_and_pictures_can_be_taken_again() {
    let stage = Stage::at(&[("/", "<button onclick='this.innerText = 1'>Go</button>")]).await;
    kill(process_of(stage.browser.process_id(), "--type=gpu-process")).await;
    let begun = Instant::now();
    let button = Locator::css("button");
    stage.page.click(&button, PATIENCE).await.unwrap();
    assert_eq!(stage.page.text(&button, PATIENCE).await.unwrap(), "1");
    let picture = stage.page.screenshot(&Screenshot::default()).await.unwrap();
    assert!(picture.starts_with(b"\x89PNG"));
    assert!(begun.elapsed() < PATIENCE);
    close(stage).await;
}

/// Does something in a page of which no frame is drawn for a second, which it must wait for.
async fn held_without_frames<T: std::fmt::Debug>(stage: &Stage, act: impl Future<Output = T>) -> T {
    let drawing = process_of(stage.browser.process_id(), "--type=gpu-process");
    let drawing = Pid::from_raw(drawing.cast_signed()).unwrap();
    kill_process(drawing, Signal::STOP).unwrap();
    let mut acting = pin!(act);
    let held = tokio::time::timeout(Duration::from_secs(1), &mut acting).await;
    kill_process(drawing, Signal::CONT).unwrap();
    assert!(held.is_err(), "{held:?}");
    acting.await
}

#[tokio::test]
async fn a_button_is_not_taken_for_still_while_nothing_is_drawn() {
    let html = r#"<style>button { position: absolute; left: 0 }</style>
        <button onclick="window.clicked = getComputedStyle(this).left">Go</button>
        <script>
        const button = document.querySelector('button');
        let x = 0;
        const step = () => { x += 8; button.style.left = x + 'px'; if (x < 400) requestAnimationFrame(step); };
        const start = () => { if (x === 0) step(); };
        </script>"#;
    let stage = Stage::at(&[("/", html)]).await;
    let button = Locator::css("button");
    let clicked = held_without_frames(&stage, async {
        stage.page.evaluate("start()", PATIENCE).await.unwrap();
        stage.page.click(&button, PATIENCE).await
    });
    clicked.await.unwrap();
    assert_eq!(stage.value("window.clicked").await, "400px");
}

#[tokio::test]
async fn what_scrolls_does_not_stand_still_while_nothing_is_drawn() {
    let stage = Stage::at(&[("/", "<div style='height: 3000px'></div>")]).await;
    let scrolled =
        held_without_frames(&stage, stage.page.scroll_by(None, 0.0, 300.0, PATIENCE)).await;
    scrolled.unwrap();
    assert_eq!(stage.value("scrollY").await, "300");
}

#[tokio::test]
async fn a_renderer_killed_in_the_middle_of_a_wait_is_a_crash_at_once() {
    let stage = Stage::at(&[("/", "")]).await;
    let page = stage.page.clone();
    let mut waiting = JoinSet::new();
    waiting.spawn(async move { page.click(&Locator::css("#never"), PATIENCE).await });
    // Its helper script is waiting by the time that the page has answered something else.
    stage.value("1").await;
    let begun = Instant::now();
    kill(process_of(stage.browser.process_id(), "--type=renderer")).await;
    let failed = waiting.join_next().await.unwrap().unwrap().unwrap_err();
    assert!(matches!(failed, Error::Crashed), "{failed:?}");
    assert!(begun.elapsed() < QUICK);
    close(stage).await;
}

#[tokio::test]
async fn a_renderer_that_takes_its_time_to_crash_is_a_crash() {
    let stage = Stage::at(&[("/", "")]).await;
    let renderer = process_of(stage.browser.process_id(), "--type=renderer");
    let renderer = Pid::from_raw(renderer.cast_signed()).unwrap();
    kill_process(renderer, Signal::STOP).unwrap();
    // The browser answers that nothing came of the navigation, and tells of no crash yet.
    let page = stage.page.clone();
    let mut going = pin!(page.goto("chrome://crash", PATIENCE));
    let held = tokio::time::timeout(Duration::from_secs(1), &mut going).await;
    kill_process(renderer, Signal::CONT).unwrap();
    assert!(held.is_err(), "{held:?}");
    let failed = going.await.unwrap_err();
    assert!(matches!(failed, Error::Crashed), "{failed:?}");
    close(stage).await;
}

#[tokio::test]
async fn a_crash_ends_the_wait_for_what_the_page_was_to_open_or_to_save() {
    let stage = Stage::at(&[("/", "")]).await;
    let popup = stage.page.expect_page();
    let download = stage.page.expect_download();
    let begun = Instant::now();
    kill(process_of(stage.browser.process_id(), "--type=renderer")).await;
    let (popup, download) = tokio::join!(popup.wait(PATIENCE), download.wait(PATIENCE));
    let failed = popup.err().unwrap();
    assert!(matches!(failed, Error::Crashed), "{failed:?}");
    let failed = download.unwrap_err();
    assert!(matches!(failed, Error::Crashed), "{failed:?}");
    assert!(begun.elapsed() < QUICK);
    close(stage).await;
}

#[tokio::test]
async fn a_pipe_that_closes_under_a_living_browser_is_closed_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let scratch = tempfile::tempdir().unwrap();
    let real = find_or_install(&mut |_| {}).await.unwrap();
    // The browser reads from the pipe of the first program and writes to that of the last one,
    // which alone keeps ours open.
    let relay = format!(
        "cat <&3 4>&- | {} \"$@\" 3<&0 4>&1 2>/dev/null | dd bs=65536 >&4 2>/dev/null & exec 3<&- 4>&-; wait",
        real.display()
    );
    let options = LaunchOptions::new(write_program(folder.path(), &relay).await, scratch.path());
    let browser = Browser::launch(&options).await.unwrap();
    let group = browser.process_id();
    let page = browser.page().await.unwrap();
    let mut waiting = JoinSet::new();
    let asked = page.clone();
    waiting.spawn(async move { asked.click(&Locator::css("#never"), PATIENCE).await });
    page.evaluate("1", PATIENCE).await.unwrap();
    let begun = Instant::now();
    kill(process_of(group, "bs=65536")).await;
    let failed = waiting.join_next().await.unwrap().unwrap().unwrap_err();
    assert!(matches!(failed, Error::Closed), "{failed:?}");
    assert!(begun.elapsed() < QUICK);
    assert!(!browser.is_alive());
    browser.close().await;
    assert_eq!(members_of(group), Vec::<u32>::new());
}

#[tokio::test]
async fn a_full_disk_fails_the_download_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let scratch = tempfile::tempdir().unwrap();
    let real = find_or_install(&mut |_| {}).await.unwrap();
    // A disk of one mebibyte under the folder of downloads, that only this browser sees and that
    // goes with it. An ordinary user needs a user namespace for that.
    let kind = if rustix::process::geteuid().is_root() {
        "--mount"
    } else {
        "--map-root-user --mount"
    };
    let text = format!(
        "exec unshare {kind} sh -c 'mount -t tmpfs -o size=1m none downloads && exec \"$0\" \"$@\"' {} \"$@\"",
        real.display()
    );
    let options = LaunchOptions::new(write_program(folder.path(), &text).await, scratch.path());
    let browser = Browser::launch(&options).await.unwrap();
    let page = browser.page().await.unwrap();

    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let site = format!("http://{}/", listener.local_addr().unwrap());
    let mut serving = JoinSet::new();
    serving.spawn(async move {
        let mut connections = JoinSet::new();
        while let Ok((mut stream, _)) = listener.accept().await {
            connections.spawn(async move {
                let mut request = [0; 4096];
                let length = stream.read(&mut request).await.unwrap_or(0);
                let request = String::from_utf8_lossy(&request[..length]).into_owned();
                if !request.starts_with("GET /large ") {
                    let page = "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nConnection: close\r\n\r\n<a href=/large>Large</a>";
                    let _ = stream.write_all(page.as_bytes()).await;
                    return;
                }
                let head = "HTTP/1.1 200 OK\r\nContent-Disposition: attachment; filename=large.bin\r\nContent-Length: 67108864\r\n\r\n";
                let _ = stream.write_all(head.as_bytes()).await;
                // The browser hangs up when it can't go on.
                while stream.write_all(&[0; 65536]).await.is_ok() {}
            });
        }
    });
    page.goto(&site, PATIENCE).await.unwrap();
    let download = page.expect_download();
    page.click(&Locator::css("a"), PATIENCE).await.unwrap();
    let failed = download.wait(PATIENCE).await.unwrap_err();
    assert!(matches!(failed, Error::Download { .. }), "{failed:?}");
    assert_eq!(
        page.text(&Locator::css("a"), PATIENCE).await.unwrap(),
        "Large"
    );
    browser.close().await;
}

fn signal(group: u32, signal: Signal) {
    let group = Pid::from_raw(group.cast_signed()).unwrap();
    kill_process_group(group, signal).unwrap();
}

#[tokio::test]
async fn a_frozen_browser_keeps_every_deadline_and_can_be_closed() {
    let stage = Stage::at(&[("/", "<button>Go</button>")]).await;
    let page = &stage.page;
    signal(stage.browser.process_id(), Signal::STOP);
    let button = Locator::css("button");
    let begun = Instant::now();
    let url = stage.site.url("/");
    let outcomes = [
        page.click(&button, SOON).await,
        page.goto(&url, SOON).await.map(drop),
        page.evaluate("1", SOON).await.map(drop),
        page.wait_for(&Condition::Visible(button), SOON).await,
        page.close(SOON).await,
    ];
    for outcome in outcomes {
        assert!(
            matches!(outcome, Err(Error::TimedOut { .. })),
            "{outcome:?}"
        );
    }
    assert!(begun.elapsed() < QUICK, "{:?}", begun.elapsed());
    close(stage).await;
}

#[tokio::test]
async fn a_browser_listens_on_no_port() {
    let stage = Stage::at(&[("/", "here")]).await;
    let mut listening = Vec::new();
    for table in ["/proc/net/tcp", "/proc/net/tcp6"] {
        let table = std::fs::read_to_string(table).unwrap_or_default();
        for line in table.lines() {
            let fields: Vec<&str> = line.split_whitespace().collect();
            // The state, and the socket's inode.
            if fields.get(3) == Some(&"0A") {
                listening.push(format!("socket:[{}]", fields[9]));
            }
        }
    }
    // The site's own, at least.
    assert!(!listening.is_empty());
    for process in members_of(stage.browser.process_id()) {
        let descriptors = std::fs::read_dir(format!("/proc/{process}/fd"));
        for descriptor in descriptors.into_iter().flatten().flatten() {
            let open = std::fs::read_link(descriptor.path()).unwrap_or_default();
            let open = open.display().to_string();
            assert!(!listening.contains(&open), "{process} has {open}");
        }
    }
    close(stage).await;
}

/// Tells this test, started as a program of its own, where it is to start a browser.
const SCRATCH: &str = "LEGWORK_TEST_SCRATCH";

#[expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a test that is a program of its own is told by its environment, and answers"
)]
#[tokio::test]
async fn what_a_killed_program_left_is_ended_and_removed_at_the_next_start() {
    if let Some(scratch) = std::env::var_os(SCRATCH) {
        let executable = find_or_install(&mut |_| {}).await.unwrap();
        let options = LaunchOptions::new(executable, PathBuf::from(scratch));
        let browser = Browser::launch(&options).await.unwrap();
        println!("\nbrowser {}", browser.process_id());
        std::future::pending::<()>().await;
    }
    let scratch = tempfile::tempdir().unwrap();
    let name =
        "faults_processes::what_a_killed_program_left_is_ended_and_removed_at_the_next_start";
    let mut program = tokio::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", name, "--nocapture"])
        .env(SCRATCH, scratch.path())
        .stdout(std::process::Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(program.stdout.take().unwrap()).lines();
    let group = loop {
        let line = lines.next_line().await.unwrap().unwrap();
        if let Some(group) = line.strip_prefix("browser ") {
            break group.parse::<u32>().unwrap();
        }
    };
    // A living program's browser is left alone.
    assert_eq!(remove_leftovers(scratch.path()).unwrap(), 0);
    assert!(members_of(group).len() > 2);
    program.kill().await.unwrap();
    assert_eq!(remove_leftovers(scratch.path()).unwrap(), 1);
    while !members_of(group).is_empty() {
        tokio::task::yield_now().await;
    }
    assert_eq!(std::fs::read_dir(scratch.path()).unwrap().count(), 0);
}
