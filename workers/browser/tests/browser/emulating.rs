//! What a page is told of its machine, and what a browser remembers of sites.

use browser::{
    Cookie, Error, Geolocation, HttpCredentials, Locator, SameSite, StorageState, Viewport,
};

use crate::{PATIENCE, Stage};

const ECHO: &str = "<pre>{{request}}</pre>";

async fn request(stage: &Stage) -> String {
    let pre = Locator::css("pre");
    stage.page.text(&pre, PATIENCE).await.unwrap()
}

#[tokio::test]
async fn size_language_time_zone_and_agent_can_be_changed_and_hold_for_new_pages() {
    let stage = Stage::at(&[("/", ECHO)]).await;
    let page = &stage.page;
    page.set_viewport(Viewport {
        width: 500,
        height: 400,
        device_scale_factor: 2.0,
    })
    .await
    .unwrap();
    let agent = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Safari/537.36";
    page.set_identity(Some("de-DE"), Some(agent)).await.unwrap();
    page.set_time_zone("Asia/Tokyo").await.unwrap();
    page.set_extra_headers(&[("X-Run".to_owned(), "7".to_owned())])
        .await
        .unwrap();
    let second = page.open_page().await.unwrap();
    let script = "[innerWidth, innerHeight, devicePixelRatio, navigator.language,
        (1234.5).toLocaleString(), Intl.DateTimeFormat().resolvedOptions().timeZone,
        navigator.platform].join(' ')";
    for page in [page, &second] {
        page.goto(&stage.site.url("/"), PATIENCE).await.unwrap();
        let seen = page.evaluate(script, PATIENCE).await.unwrap();
        assert_eq!(seen, "500 400 2 de-DE 1.234,5 Asia/Tokyo Win32");
        let request = page.text(&Locator::css("pre"), PATIENCE).await.unwrap();
        assert!(request.contains(agent), "{request}");
        assert!(request.contains("Accept-Language: de-DE"), "{request}");
        assert!(request.contains("X-Run: 7"), "{request}");
        let hints = r#"sec-ch-ua-platform: "Windows""#;
        assert!(request.contains(hints), "{request}");
    }
    let failed = page.set_time_zone("Mars/Olympus").await.unwrap_err();
    assert!(matches!(failed, Error::Protocol { .. }), "{failed:?}");
    page.open_page().await.unwrap();
}

#[tokio::test]
async fn an_origin_that_asks_for_a_password_gets_it_once_and_no_other_does() {
    let asking = "HTTP 401 Unauthorized\nWWW-Authenticate: Basic realm=\"x\"\nContent-Type: text/html\n\n<pre>{{request}}</pre>";
    let stage = Stage::at(&[("/", ECHO), ("/asking", asking)]).await;
    let page = &stage.page;
    let origin = stage.site.url("");
    page.set_http_credentials(Some(HttpCredentials {
        origin,
        username: "ada".to_owned(),
        password: "canary".to_owned(),
    }))
    .await
    .unwrap();
    // The site never takes it: it is offered once.
    let arrival = page
        .goto(&stage.site.url("/asking"), PATIENCE)
        .await
        .unwrap();
    assert_eq!(arrival.status, Some(401));
    let sent = request(&stage).await;
    assert!(
        sent.contains("Authorization: Basic YWRhOmNhbmFyeQ=="),
        "{sent}"
    );
    let elsewhere = stage.site.url_elsewhere("/asking");
    let arrival = page.goto(&elsewhere, PATIENCE).await.unwrap();
    assert_eq!(arrival.status, Some(401));
    assert!(!request(&stage).await.contains("Authorization"));
    page.set_http_credentials(None).await.unwrap();
    page.goto(&stage.site.url("/"), PATIENCE).await.unwrap();
}

#[tokio::test]
async fn the_network_can_be_cut_and_given_back() {
    let stage = Stage::at(&[("/", ECHO)]).await;
    let page = &stage.page;
    let url = stage.site.url("/");
    page.set_offline(true).await.unwrap();
    let failed = page.goto(&url, PATIENCE).await.unwrap_err();
    assert!(
        matches!(&failed, Error::Navigation { reason, .. } if reason == "net::ERR_INTERNET_DISCONNECTED"),
        "{failed:?}"
    );
    page.set_offline(false).await.unwrap();
    page.goto(&url, PATIENCE).await.unwrap();
}

#[tokio::test]
async fn a_place_is_told_to_who_may_know_it() {
    let stage = Stage::at(&[("/", "")]).await;
    let page = &stage.page;
    let place = Geolocation {
        latitude: 48.2,
        longitude: 16.37,
        accuracy: 10.0,
    };
    page.set_geolocation(place).await.unwrap();
    let asking = "new Promise((resolve) => navigator.geolocation.getCurrentPosition(
        ({ coords }) => resolve(`${coords.latitude} ${coords.longitude}`),
        (error) => resolve(error.message)))";
    page.grant_permissions(&["geolocation"], Some(&stage.site.url("")))
        .await
        .unwrap();
    assert_eq!(stage.value(asking).await, "48.2 16.37");
    page.reset_permissions().await.unwrap();
    page.grant_permissions(&[], Some(&stage.site.url("")))
        .await
        .unwrap();
    assert_eq!(stage.value(asking).await, "User denied Geolocation");
}

fn cookie(name: &str, value: &str) -> Cookie {
    Cookie {
        name: name.to_owned(),
        value: value.to_owned(),
        domain: "127.0.0.1".to_owned(),
        path: "/".to_owned(),
        expires: -1.0,
        http_only: true,
        secure: false,
        same_site: SameSite::Strict,
    }
}

#[tokio::test]
async fn cookies_are_set_read_and_cleared() {
    let stage = Stage::at(&[("/", ECHO)]).await;
    let page = &stage.page;
    let mut lasting = cookie("lasting", "1");
    lasting.expires = 4_000_000_000.0;
    let given = [cookie("session", "canary"), lasting];
    page.set_cookies(&given).await.unwrap();
    page.goto(&stage.site.url("/"), PATIENCE).await.unwrap();
    let sent = request(&stage).await;
    assert!(
        sent.contains("session=canary") && sent.contains("lasting=1"),
        "{sent}"
    );
    let mut cookies = page.cookies().await.unwrap();
    cookies.sort_by(|a, b| b.name.cmp(&a.name));
    assert_eq!(cookies[0], given[0]);
    // Chromium lets no cookie live for more than 400 days.
    assert!(cookies[1].expires > 0.0, "{:?}", cookies[1]);
    assert!(!format!("{cookies:?}").contains("canary"));
    page.clear_cookies().await.unwrap();
    assert!(page.cookies().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_session_is_carried_from_one_browser_to_another() {
    let html = "<script>localStorage.who ??= 'nobody'</script>";
    let pages = [
        ("/", html),
        ("/other", "<script>localStorage.other = '2'</script>"),
    ];
    let stage = Stage::at(&pages).await;
    let page = &stage.page;
    page.evaluate(
        "localStorage.who = 'ada'; document.cookie = 'sid=42'",
        PATIENCE,
    )
    .await
    .unwrap();
    page.goto(&stage.site.url_elsewhere("/other"), PATIENCE)
        .await
        .unwrap();
    let state = page.storage_state().await.unwrap();
    let json = serde_json::to_value(&state).unwrap();
    assert_eq!(json["cookies"][0]["sameSite"], "Lax");
    assert_eq!(json["cookies"][0]["httpOnly"], false);
    let origins = json["origins"].as_array().unwrap();
    assert_eq!(origins.len(), 2);
    assert_eq!(origins[0]["origin"], stage.site.url(""));
    assert_eq!(origins[0]["localStorage"][0]["name"], "who");
    assert_eq!(page.pages().await.unwrap().len(), 1);

    let state: StorageState = serde_json::from_value(json).unwrap();
    let other = Stage::at(&[("/", "")]).await;
    let page = &other.page;
    page.set_storage_state(&state).await.unwrap();
    page.goto(&stage.site.url("/"), PATIENCE).await.unwrap();
    let seen = page.evaluate("localStorage.who + document.cookie", PATIENCE);
    assert_eq!(seen.await.unwrap(), "adasid=42");
    let mut again = page.storage_state().await.unwrap();
    again
        .origins
        .retain(|known| known.origin != other.site.url(""));
    assert_eq!(again, state);
}
