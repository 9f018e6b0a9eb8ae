//! Each verb over real Chromium, on pages of the test's own.

use browser::{Browser, LaunchOptions, find_or_install};
use domain::FailureCode;
use domain::definition::{Definition, Secret, time_zones};
use engine::{Answer, Chromium, Inputs, Outcome, execute};
use serde_json::{Value, json};

use crate::pages::{Page, STREAM, Site, html};
use crate::scripted::{RecordingHost, Story};

/// Runs a workflow on a site, with `input.url` for where it is, and gives its outcome and what was stored.
pub(crate) async fn run(
    site: &Site,
    yaml: &str,
    secrets: impl IntoIterator<Item = (&str, &str)>,
    answers: impl IntoIterator<Item = Answer>,
) -> (Outcome, RecordingHost) {
    let definition = Definition::parse_yaml(yaml).unwrap_or_else(|errors| panic!("{errors:#?}"));
    let executable = find_or_install(&mut |_| {}).await.expect("a browser");
    let scratch = tempfile::tempdir().expect("a folder");
    let browser = Browser::launch(&LaunchOptions::new(executable, scratch.path()))
        .await
        .expect("it starts");
    let mut tabs = Chromium::new(browser.page().await.expect("a page"));
    let mut host = RecordingHost::new(&Story::default());
    host.answers.extend(answers);
    let inputs = Inputs {
        input: json!({"url": site.url, "second": 1}),
        secrets: secrets
            .into_iter()
            .map(|(name, value)| (name.to_owned(), Secret::new(value)))
            .collect(),
        outputs: json!({}),
    };
    let report = execute(
        &definition,
        inputs,
        &mut tabs,
        &mut host,
        std::future::pending(),
    )
    .await
    .expect("not interrupted");
    browser.close().await;
    (report.outcome, host)
}

const SECRETS: [(&str, &str); 2] = [
    ("token", "canary-4711-value"),
    ("key", "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"),
];

/// Runs steps, and gives what `output:` names.
async fn output(site: &Site, steps: &str, output: &str) -> (Value, RecordingHost) {
    let yaml = format!(
        "name: Test\nstates:\n  - name: testing\n    steps:\n      - goto: '{{{{ input.url }}}}/'\n{steps}output: {output}\n"
    );
    match run(site, &yaml, SECRETS, []).await {
        (Outcome::Completed { output }, host) => (output.unwrap_or_default(), host),
        (other, _) => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_script_with_a_wrong_syntax_ends_a_run_before_its_first_step() {
    for wrong in [
        "evaluate: { script: \"document.title +\" }",
        "waitFor: { any: [{ visible: p }, { script: \"window.(ready)\" }] }",
        "if: { script: \"let x\", then: [{ press: Enter }] }",
    ] {
        let site = Site::start(|_| Some(html("<p>Here</p>"))).await;
        let yaml = format!(
            r#"
name: Wrong script
states:
  - name: opening
    steps:
      - goto: "{{{{ input.url }}}}/"
      - evaluate: "await Promise.resolve(/[/*]/.test(document.title)) // right"
  - name: computing
    steps:
      - {wrong}
"#
        );
        let (outcome, host) = run(&site, &yaml, [], []).await;
        let Outcome::Failed(failure) = outcome else {
            panic!("{wrong}: {outcome:?}");
        };
        assert_eq!(failure.code, FailureCode::WorkflowInvalid, "{failure:?}");
        assert!(failure.message.contains("SyntaxError"), "{failure:?}");
        assert_eq!(failure.state, None, "{wrong}");
        let step = failure.step.unwrap_or_default();
        assert!(step.starts_with("/states/1/steps/0/"), "{step}");
        assert_eq!(host.story.lines(), ["store log.jsonl"], "{wrong}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fields_lists_boxes_keys_and_files_get_what_the_steps_say() {
    let site = Site::start(|path| {
        (path == "/").then(|| {
            html(
                "<form>
                <label>Name <input id=name></label>
                <label>Search <input id=search onkeydown='keys.value += event.key + \" \"'></label>
                <output id=keys></output>
                <label>Month <select id=month><option value=4>April</option><option value=5>May</option></select></label>
                <select id=teams multiple><option>IT</option><option>HR</option><option>PR</option></select>
                <label><input type=checkbox id=a> A</label><label><input type=checkbox id=b checked> B</label>
                <input type=file id=file multiple onchange='Promise.all([...files].map(async (f) => f.name + \":\" + await f.text())).then((t) => seen.textContent = t.join(\",\"))'>
                <p id=seen></p>
                </form>",
            )
        })
    })
    .await;
    let steps = r##"
      - fill: { label: Name, value: "{{ 'a' ~ 'b' }}" }
      - type: { label: Search, value: "xy", delay: 1ms }
      - press: { key: Backspace, label: Search, times: 2 }
      - get: { css: "#keys", as: keys }
      - get: { css: "#name", type: value, as: name }
      - select: { label: Month, option: May }
      - select: { css: "#teams", option: [IT, PR] }
      - check: { label: A, exact: true }
      - uncheck: "#b"
      - evaluate: { script: "[month.value, [...teams.selectedOptions].map((o) => o.text).join(), a.checked, b.checked, args.n] // seen", args: { n: "{{ input.second }}" }, as: chosen }
      - upload: { css: "#file", files: [{ fileName: a.txt, content: "A{{ name }}" }, { fileName: b.txt, base64: Qg== }] }
      - waitFor: { hasText: b.txt }
      - get: { css: "#seen", as: seen }
"##;
    let (output, _) = output(
        &site,
        steps,
        "{ keys: '{{ keys }}', name: '{{ name }}', chosen: '{{ chosen }}', seen: '{{ seen }}' }",
    )
    .await;
    assert_eq!(
        output,
        json!({
            "keys": "x y Backspace Backspace",
            "name": "ab",
            "chosen": ["5", "IT,PR", true, false, 1],
            "seen": "a.txt:Aab,b.txt:B",
        })
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn loops_branches_and_groups_go_where_their_conditions_say() {
    let site = Site::start(|path| match path {
        "/" => Some(html(
            "<ul><li>One <a href=/1>more</a></li><li>Two <a href=/2>more</a></li></ul>
             <button id=flaky onclick='this.dataset.n = +(this.dataset.n || 0) + 1; if (this.dataset.n == 3) document.body.append(Object.assign(document.createElement(\"b\"), {textContent: \"done\"}))'>Try</button>",
        )),
        "/1" | "/2" => Some(html(&format!("<h1>Page {}</h1>", &path[1..]))),
        _ => None,
    })
    .await;
    let steps = r##"
      - set: { titles: [], texts: [] }
      - forEach:
          elements: li
          as: item
          index: i
          steps:
            - click: { css: a, within: { element: item } }
            - get: { css: h1, as: title }
            - set: { titles: "{{ titles + [title] }}", texts: "{{ texts + [item.text ~ i] }}" }
            - back:
      - forEach:
          in: ["a", "{{ input.second }}"]
          as: word
          steps: [{ set: { texts: "{{ texts + [word] }}" } }]
      - if: { visible: h1, then: [{ set: { branch: then } }], else: [{ set: { branch: else } }] }
      - retry:
          maxAttempts: 5
          delay: 10ms
          steps:
            - click: "#flaky"
            - assert: { hasText: done }
      - click: "#nobody"
        timeout: 50ms
        onError: continue
      - set: { code: "{{ error.code }}", failed: "{{ error.step }}" }
      - set: { ok: 1 }
        onError: { as: later }
"##;
    let (mut output, host) = output(
        &site,
        steps,
        "{ titles: '{{ titles }}', texts: '{{ texts }}', branch: '{{ branch }}', code: '{{ code }}', failed: '{{ failed }}', later: '{{ later }}' }",
    )
    .await;
    // A browser that stands still for more than a second can't say what it found.
    let code = output["code"].take();
    let is_said = ["ELEMENT_NOT_FOUND", "ELEMENT_NOT_ACTIONABLE"]
        .contains(&code.as_str().unwrap_or_default());
    assert!(is_said, "{code}");
    assert_eq!(
        output,
        json!({
            "titles": ["Page 1", "Page 2"],
            "texts": ["One more0", "Two more1", "a", 1],
            "branch": "else",
            "code": null,
            "failed": "testing/steps/6 (click)",
            "later": null,
        })
    );
    let log = host.text("log.jsonl");
    assert_eq!(log.matches("\"retrying\"").count(), 2, "{log}");
    assert!(log.contains("(forEach)[1]/steps/0 (click)"), "{log}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn frames_tabs_dialogs_and_responses_are_reached() {
    let site = Site::start(|path| match path {
        "/" => Some(html(
            "<iframe src=/inner></iframe>
             <a href=/popup target=_blank>Open</a>
             <button id=ask onclick='answer.textContent = prompt(\"Why?\")'>Ask</button><p id=answer></p>
             <button id=load onclick='fetch(\"/api?x=1\")'>Load</button>
             <div id=box draggable=true ondragstart='1' style='width:40px;height:40px'>box</div>
             <div id=drop ondragover='event.preventDefault()' ondrop='this.textContent = \"dropped\"' style='width:80px;height:80px'>here</div>",
        )),
        "/inner" => Some(html(
            "<label>IBAN <input id=iban></label><div style='height:3000px'></div><p id=end>end</p>",
        )),
        "/popup" => Some(html("<h1>Popup</h1>")),
        "/api?x=1" => Some(Page {
            content_type: "application/json",
            body: r#"{"total": 7, "leak": "canary-4711-value"}"#.to_owned(),
            headers: "",
        }),
        _ => None,
    })
    .await;
    let steps = r##"
      - frame:
          css: iframe
          steps:
            - fill: { label: IBAN, value: DE00 }
            - evaluate: { script: "document.querySelector('#iban').value", as: iban }
            - scroll: { css: "#end" }
            - evaluate: { script: "scrollY > 0", as: scrolled }
            - assert: { hasText: end, css: p }
      - tab: { open: { text: Open } }
      - get: { css: h1, as: popup }
      - pdf:
      - tab: close
      - dialog: { accept: because }
      - click: "#ask"
      - get: { css: "#answer", as: why }
      - waitFor:
          response: { url: "*/api*", status: 200 }
          during: [{ click: "#load" }]
          as: reply
      - drag: { source: "#box", target: "#drop" }
      - get: { css: "#drop", as: dropped }
      - fill: { css: "iframe input", value: x, frame: "iframe" }
        onError: { as: wrong }
        timeout: 50ms
"##;
    let (output, host) = output(
        &site,
        steps,
        "{ iban: '{{ iban }}', scrolled: '{{ scrolled }}', popup: '{{ popup }}', why: '{{ why }}', reply: '{{ reply.body }}', dropped: '{{ dropped }}' }",
    )
    .await;
    assert_eq!(
        output,
        json!({
            "iban": "DE00",
            "scrolled": true,
            "popup": "Popup",
            "why": "because",
            "reply": {"total": 7, "leak": "•••"},
            "dropped": "dropped",
        })
    );
    assert!(host.names().contains(&"page.pdf"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_are_read_by_number_by_scrolling_and_by_loading_more() {
    const LIST: &str = "<ul id=list></ul><button id=more>More</button><script>
        let n = 0;
        const add = () => { for (let i = 0; i < 20 && n < 50; i++, n++) list.insertAdjacentHTML('beforeend', `<li style='height:40px'><b>${n}</b><i>t${n % 2}</i><i>x</i><time>0${n % 9 + 1}.05.2026</time></li>`);
          if (n >= 50) document.getElementById('more')?.remove(); };
        add();
    </script>";
    let site = Site::start(|path| {
        let by = |script: &str| html(&format!("{LIST}<script>{script}</script>"));
        if path == "/" || path == "/more" {
            return Some(by("more.onclick = () => setTimeout(add, 20)"));
        }
        if path == "/scroll" {
            return Some(by("onscroll = () => { if (scrollY + innerHeight > document.body.scrollHeight - 5) setTimeout(add, 20) }"));
        }
        let number: usize = path.strip_prefix("/list?page=")?.parse().ok()?;
        Some(html(&if number <= 3 {
            format!("<ul><li><b>{number}</b></li></ul>")
        } else {
            "<ul></ul>".to_owned()
        }))
    })
    .await;
    let steps = r##"
      - extract: { rows: li, fields: { n: { css: b, type: number } }, loadMore: { role: button, name: More }, as: more }
      - goto: "{{ input.url }}/scroll"
      - extract: { rows: li, fields: { n: { css: b, type: number }, tags: { css: i, type: list }, day: { css: time, type: date, format: "%d.%m.%Y" } }, scroll: true, limit: 45, as: scrolled }
      - goto: "{{ input.url }}/list?page=1"
      - extract: { rows: li, fields: { n: { css: b, type: number } }, pageNumber: { goto: "{{ input.url }}/list?page={{ page }}" }, maxPages: 3, as: numbered }
      - goto: "{{ input.url }}/list?page=1"
      - extract: { rows: li, fields: { n: b }, pageNumber: { goto: "{{ input.url }}/list?page={{ page }}" }, maxPages: 2, as: too_many }
        onError: { as: more_pages }
      - goto: "{{ input.url }}/more"
      - extract: { rows: li, fields: { tag: i }, uniqueBy: tag, as: unique }
"##;
    let (output, host) = output(
        &site,
        steps,
        "{ more: '{{ more | length }}', last: '{{ more[49].n }}', scrolled: '{{ scrolled | length }}', first: '{{ scrolled[0] }}', numbered: '{{ numbered | map(attribute=\"n\") | list }}', more_pages: '{{ more_pages.message }}', unique: '{{ unique | length }}' }",
    )
    .await;
    assert_eq!(
        output,
        json!({
            "more": 50,
            "last": 49,
            "scrolled": 45,
            "first": {"n": 0, "tags": ["t0", "x"], "day": "2026-05-01"},
            "numbered": [1, 2, 3],
            "more_pages": "there are more than 2 pages: raise maxPages",
            "unique": 2,
        })
    );
    let schema: Value = serde_json::from_str(&host.text("scrolled.schema.json")).expect("JSON");
    assert_eq!(
        schema["items"]["properties"]["day"],
        json!({"type": ["string", "null"], "format": "date"})
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_leads_on_and_the_last_rows_may_come_a_moment_later() {
    let site = Site::start(|path| {
        // Each page of two rows is drawn in two parts, the second of which has what leads on.
        let draw = |count: &str, begin: &str| {
            html(&format!(
                "<ul id=list></ul><div id=pages></div><script>
                 let n = 0;
                 const row = () => list.insertAdjacentHTML('beforeend', `<li>${{++n}}</li>`);
                 const draw = () => {{
                   {begin};
                   row();
                   setTimeout(() => {{ row(); if (n < {count}) pages.innerHTML = '<button onclick=draw()>On</button>' }}, 100);
                 }};
                 draw();
                 </script>"
            ))
        };
        match path {
            "/" => Some(draw("6", "list.innerHTML = pages.innerHTML = ''")),
            "/more" => Some(draw("6", "pages.innerHTML = ''")),
            "/list?page=3" => Some(html("<ul></ul>")),
            _ if path.starts_with("/list?page=") => Some(html(&format!(
                "<ul id=list></ul><script>setTimeout(() => list.innerHTML = '<li>{path}</li>', 100)</script>"
            ))),
            _ => None,
        }
    })
    .await;
    let steps = r##"
      - extract: { rows: li, fields: { n: { type: number } }, nextPage: button, as: next }
      - goto: "{{ input.url }}/more"
      - extract: { rows: li, fields: { n: { type: number } }, loadMore: button, as: more }
      - goto: "{{ input.url }}/list?page=1"
      - extract: { rows: li, fields: { n: {} }, pageNumber: { goto: "{{ input.url }}/list?page={{ page }}" }, as: numbered }
"##;
    let numbers = |name: &str| format!("{name}: '{{{{ {name} | map(attribute=\"n\") | list }}}}'");
    let wanted = ["next", "more", "numbered"].map(numbers).join(", ");
    let (output, _) = output(&site, steps, &format!("{{ {wanted} }}")).await;
    assert_eq!(
        output,
        json!({
            "next": [1, 2, 3, 4, 5, 6],
            "more": [1, 2, 3, 4, 5, 6],
            "numbered": ["/list?page=1", "/list?page=2"],
        })
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_whose_url_changes_before_its_rows_has_no_new_links_yet() {
    // Each page has a link that is the same text on all pages, and its URL says at once what its rows say a moment later.
    let site = Site::start(|path| {
        let (way, script) = match path {
            "/" => ("next", "setTimeout(show, 200)"),
            "/more" => ("more", "show()"),
            _ if path.starts_with("/list?page=") => ("none", "show()"),
            _ => return None,
        };
        Some(html(&format!(
            "<ul id=list></ul><button id=on onclick=turn()>On</button><script>
             let n = 0;
             const show = () => {{
               if ('{way}' !== 'more') list.innerHTML = '';
               list.insertAdjacentHTML('beforeend', `<li><a href=#${{n}}>x</a><a href=/same>y</a></li>`);
               if (n === 3 || '{way}' === 'none') on.remove();
             }};
             const turn = () => {{ n++; history.pushState(null, '', '?page=' + n); {script} }};
             if ('{way}' === 'none') show(); else turn();
             </script>"
        )))
    })
    .await;
    let fields = "fields: { to: { css: a, type: link }, each: { css: a, type: list, of: link } }";
    let steps = format!(
        r##"
      - extract: {{ rows: li, {fields}, nextPage: button, as: next }}
      - goto: "{{{{ input.url }}}}/more"
      - extract: {{ rows: li, {fields}, loadMore: button, as: more }}
      - goto: "{{{{ input.url }}}}/list?page=1"
      - extract: {{ rows: li, {fields}, pageNumber: {{ goto: "{{{{ input.url }}}}/list?page={{{{ page }}}}" }}, as: numbered }}
        onError: {{ as: again }}
"##
    );
    let wanted = ["next", "more"]
        .map(|name| format!("{name}: '{{{{ {name} | map(attribute=\"to\") | list }}}}'"));
    let (output, _) = output(
        &site,
        &steps,
        &format!(
            "{{ {}, again: '{{{{ again.message }}}}' }}",
            wanted.join(", ")
        ),
    )
    .await;
    let at = |place: &str| format!("{}{place}", site.url);
    assert_eq!(
        output,
        json!({
            "next": [at("/?page=1#1"), at("/?page=2#2"), at("/?page=3#3")],
            "more": [at("/more?page=1#1"), at("/more?page=2#2"), at("/more?page=3#3")],
            "again": "page 2 shows the rows of an earlier page again",
        })
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_that_is_too_busy_to_answer_is_not_the_last_one() {
    let site = Site::start(|path| {
        let begin = match path {
            "/" => "list.innerHTML = pages.innerHTML = ''",
            "/more" => "pages.innerHTML = ''",
            _ => return None,
        };
        Some(html(&format!(
            "<ul id=list></ul><div id=pages></div><script>
             let n = 0;
             const workAndLeadOn = () => {{
               const end = performance.now() + 2000;
               while (performance.now() < end);
               pages.innerHTML = '<button onclick=draw()>On</button>';
             }};
             const draw = () => {{
               {begin};
               list.insertAdjacentHTML('beforeend', `<li>${{++n}}</li>`);
               if (n < 2) setTimeout(workAndLeadOn, 100);
             }};
             draw();
             </script>"
        )))
    })
    .await;
    let steps = r##"
      - extract: { rows: li, fields: { n: { type: number } }, nextPage: button, as: next }
      - goto: "{{ input.url }}/more"
      - extract: { rows: li, fields: { n: { type: number } }, loadMore: button, as: more }
"##;
    let counts = "{ next: '{{ next | length }}', more: '{{ more | length }}' }";
    let (output, _) = output(&site, steps, counts).await;
    assert_eq!(output, json!({"next": 2, "more": 2}));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_button_for_more_may_be_what_tells_that_the_rows_are_there() {
    let site = Site::start(|path| {
        (path == "/").then(|| {
            html(
                "<ul id=list><li>1</li></ul><button class=more onclick='add(); this.remove()'>More</button>
                 <script>const add = () => list.insertAdjacentHTML('beforeend', '<li>2</li>')</script>",
            )
        })
    })
    .await;
    let steps = r##"
      - extract: { ready: { css: button.more }, rows: li, fields: { n: { type: number } }, loadMore: button.more, as: all }
        timeout: 5s
"##;
    let (output, _) = output(&site, steps, "{ count: '{{ all | length }}' }").await;
    assert_eq!(output, json!({"count": 2}));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_a_whole_body_of_a_response_is_kept_and_none_is_awaited_that_nobody_wants() {
    let site = Site::start(|path| match path {
        "/" => Some(html(
            "<button id=cut onclick='fetch(\"/cut\").then((r) => r.text())'>Cut</button>
             <button id=empty onclick='fetch(\"/empty\")'>Empty</button>
             <button id=stream onclick='new EventSource(\"/stream\")'>Stream</button>",
        )),
        "/cut" => Some(Page {
            headers: "Transfer-Encoding: chunked\r\n",
            body: "5\r\n[1, 2\r\n".to_owned(),
            content_type: "application/json",
        }),
        "/empty" => Some(Page {
            headers: "",
            body: String::new(),
            content_type: "application/json",
        }),
        "/stream" => Some(Page {
            headers: "",
            body: "data: 1\n\n".to_owned(),
            content_type: STREAM,
        }),
        _ => None,
    })
    .await;
    let steps = r##"
      - waitFor: { response: { url: "*/cut" }, during: [{ click: "#cut" }], as: cut }
        onError: { as: failed }
      - waitFor: { response: { url: "*/empty" }, during: [{ click: "#empty" }], as: empty }
      - waitFor: { response: { url: "*/stream", status: 200 }, during: [{ click: "#stream" }] }
"##;
    let (output, _) = output(
        &site,
        steps,
        "{ failed: '{{ failed }}', empty: '{{ empty.body }}', cut: '{{ cut is defined }}' }",
    )
    .await;
    assert_eq!(output["failed"]["code"], "EXTRACTION_FAILED", "{output}");
    let said = output["failed"]["message"].as_str().unwrap_or_default();
    assert!(said.contains("it broke off"), "{said}");
    assert_eq!(output["cut"], false);
    assert_eq!(output["empty"], "");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_response_may_be_awaited_during_another_also_where_it_does_not_come() {
    let site = Site::start(|path| match path {
        "/" => Some(html(
            "<button onclick='fetch(\"/api?\" + ++this.value)' value=0>Load</button>",
        )),
        "/api?1" | "/api?2" => Some(html(path)),
        _ => None,
    })
    .await;
    let steps = r##"
      - waitFor:
          response: { url: "*/api*" }
          during:
            - waitFor: { response: { url: "*/nowhere" }, during: [{ click: button }, { click: "#none", timeout: 50ms }] }
              onError: { as: failed }
            - waitFor: { response: { url: "*/api*" }, during: [{ click: button }], as: inner }
          as: outer
"##;
    let (output, _) = output(
        &site,
        steps,
        "{ failed: '{{ failed.step }}', inner: '{{ inner.url }}', outer: '{{ outer.url }}' }",
    )
    .await;
    assert_eq!(
        output,
        json!({
            "failed": "testing/steps/1 (waitFor)/steps/0 (waitFor)/steps/1 (click)",
            "inner": format!("{}/api?2", site.url),
            "outer": format!("{}/api?1", site.url),
        })
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_link_leads_where_its_own_document_says() {
    let site = Site::start(|path| match path {
        "/" => Some(html("<a href=here>Here</a><iframe src=/deep/inner></iframe>")),
        "/deep/inner" => Some(html(
            "<ul><li><a href=one>1</a></li><li><a href=' ../two?a b '>2</a><a href=''>none</a></li></ul>",
        )),
        "/based" => Some(html(
            "<base href=/elsewhere/><a href=three>3</a><a href='http://['>4</a><b data-to=five></b>",
        )),
        _ => None,
    })
    .await;
    let steps = r##"
      - get: { css: a, type: link, as: here }
      - extract: { rows: { css: li, frame: iframe }, fields: { to: { css: a, type: link } }, as: framed }
      - get: { css: a, frame: iframe, type: list, of: link, as: each }
      - goto: "{{ input.url }}/based"
      - get: { css: a, nth: 0, type: link, as: based }
      - extract: { rows: body, fields: { to: { css: b, type: link, attribute: data-to } }, as: attributes }
      - get: { css: a, nth: 1, type: link, as: wrong }
        onError: { as: no_link }
"##;
    let (output, _) = output(
        &site,
        steps,
        "{ links: '{{ [here, framed[0].to, framed[1].to, each[2], based, attributes[0].to] }}', no_link: '{{ no_link.message }}' }",
    )
    .await;
    let at = |place: &str| json!(format!("{}{place}", site.url));
    let links = [
        at("/here"),
        at("/deep/one"),
        at("/two?a%20b"),
        Value::Null,
        at("/elsewhere/three"),
        at("/elsewhere/five"),
    ];
    assert_eq!(output["links"], json!(links));
    let said = output["no_link"].as_str().unwrap_or_default();
    assert!(said.ends_with("`http://[` is not a link"), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_final_state_signs_out_whatever_happened_and_the_first_failure_is_kept() {
    let site = Site::start(|path| match path {
        "/" => Some(html("<a href=/out>Sign out</a>")),
        "/out" => Some(html("<h1>Signed out</h1>")),
        _ => None,
    })
    .await;
    let yaml = |end: &str| {
        format!(
            "name: Test
states:
  - {{ name: opening, steps: [{{ goto: '{{{{ input.url }}}}/' }}, {end}] }}
  - {{ name: never, steps: [{{ click: a, when: {{ expression: input.second == 2 }} }}, {{ screenshot: }}] }}
  - {{ name: signing_out, finally: true, steps: [{{ click: {{ text: Sign out }} }}, {{ screenshot: {{ fileName: out.png, css: h1 }} }}] }}
  - {{ name: also, finally: true, steps: [{{ fail: {{ code: SECOND, message: too late }} }}] }}
"
        )
    };
    let failing = "{ fail: { code: FIRST, message: no, if: input.second == 1 } }";
    let (outcome, host) = run(&site, &yaml(failing), SECRETS, []).await;
    let Outcome::Failed(failure) = outcome else {
        panic!("{outcome:?}")
    };
    assert_eq!(failure.custom_code.as_deref(), Some("FIRST"));
    assert_eq!(failure.state.as_deref(), Some("opening"));
    assert!(host.names().contains(&"out.png") && !host.names().contains(&"screenshot.png"));

    let nothing = "{ endWithNoAction: { reason: none, if: input.second == 1 } }";
    let (outcome, host) = run(&site, &yaml(nothing), SECRETS, []).await;
    let Outcome::Failed(failure) = outcome else {
        panic!("{outcome:?}")
    };
    assert_eq!(
        failure.custom_code.as_deref(),
        Some("SECOND"),
        "a failure outweighs nothing to do"
    );
    assert!(host.names().contains(&"out.png"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_that_listens_to_keys_tells_nobody_how_a_typed_secret_begins() {
    let site = Site::start(|path| {
        let page = "<label>Search <input id=q oninput='seen.textContent += \" \" + q.value; fetch(\"/suggest?q=\" + q.value)'></label><p id=seen></p>";
        (path == "/" || path.starts_with("/suggest")).then(|| html(page))
    })
    .await;
    let yaml = "name: Test
har: always
states:
  - name: testing
    steps:
      - goto: '{{ input.url }}/'
      - type: { label: Search, value: '{{ secrets.token }}' }
      - waitFor: { load: networkIdle }
      - get: { css: '#seen', as: seen }
      - fail: { code: LEAVES_THE_DOM, message: 'seen: {{ seen }}' }
output: { seen: '{{ seen }}' }
";
    let (outcome, host) = run(&site, yaml, SECRETS, []).await;
    let Outcome::Failed(failure) = outcome else {
        panic!("{outcome:?}");
    };
    assert!(failure.message.ends_with(" •••"), "{}", failure.message);
    for artifact in &host.artifacts {
        let shown = host.bytes(artifact);
        // The value is canary-4711-value: 17 characters.
        assert!(!shown.contains("canary-47"), "{}: {shown}", artifact.name);
    }
    assert!(host.text("network.har").contains("suggest?q=canary"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_secret_that_a_page_shows_again_leaves_it_masked_whatever_reads_it() {
    let site = Site::start(|path| {
        (path == "/").then(|| {
            html("<label>Token <input id=t oninput='echo.textContent = this.value'></label><p id=echo></p>
                  <label>Code <input id=c oninput='code.textContent = this.value'></label><p id=code></p>")
        })
    })
    .await;
    let steps = r##"
      - fill: { label: Token, value: "{{ secrets.token }}" }
      - type: { label: Code, value: "{{ totp(secrets.key) }}" }
      - get: { css: "#echo", as: text }
      - get: { css: "#t", type: value, as: value }
      - get: { css: "#code", as: code }
      - get: { css: "#code", type: number, as: number }
        onError: continue
      - evaluate: { script: "({ [t.value]: [t.value.length, 'x' + t.value] })", as: script }
      - extract: { rows: body, fields: { cell: "#echo", each: { css: p, type: list } }, as: rows }
      - forEach: { elements: "#echo", as: element, steps: [{ set: { element_text: "{{ element.text }}" } }] }
      - assert: { hasText: "nowhere", message: "on {{ text }}" }
        onError: { as: failed }
        timeout: 50ms
"##;
    let (output, host) = output(
        &site,
        steps,
        "{ text: '{{ text }}', value: '{{ value }}', code: '{{ code }}', script: '{{ script }}', rows: '{{ rows }}', element: '{{ element_text }}', failed: '{{ failed.message }}' }",
    )
    .await;
    assert_eq!(output["text"], "•••");
    assert_eq!(output["value"], "•••");
    assert_eq!(output["code"], "•••");
    assert_eq!(output["script"], json!({"•••": [17, "x•••"]}));
    assert_eq!(
        output["rows"],
        json!([{"cell": "•••", "each": ["•••", "•••"]}])
    );
    assert_eq!(output["element"], "•••");
    for artifact in &host.artifacts {
        let shown = format!("{:?}", host.bytes(artifact));
        assert!(!shown.contains("canary-4711"), "{}", artifact.name);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_that_leads_to_an_origin_that_is_not_allowed_ends_the_run_there() {
    let elsewhere = Site::start(|_| Some(html("<h1>Elsewhere</h1>"))).await;
    let site = Site::start(|path| {
        let name = path.strip_prefix("/?to=")?;
        Some(html(&format!(
            "<a href='{name}'>Link</a><a href='{name}' target=_blank>Tab</a>"
        )))
    })
    .await;
    let workflow = |origins: &str, click: &str| {
        format!(
            "name: Test\n{origins}states:\n  - name: testing\n    steps:\n      - goto: '{{{{ input.url }}}}/?to={}'\n      - {click}\n      - waitFor: {{ hasText: Elsewhere }}\n",
            elsewhere.url
        )
    };
    let home = "allowedOrigins: ['{{ input.url }}/']\n";
    for click in ["click: { text: Link }", "click: { text: Tab }"] {
        let failure = match run(&site, &workflow(home, click), [], []).await {
            (Outcome::Failed(failure), _) => failure,
            (other, _) => panic!("{click}: {other:?}"),
        };
        assert_eq!(failure.code, FailureCode::AddressBlocked, "{click}");
        let message = format!(
            "the page led to {}, which is not among the workflow's allowedOrigins; add it there if runs may go to it",
            elsewhere.url
        );
        assert_eq!(failure.message, message, "{click}");
    }
    let both = format!(
        "allowedOrigins: ['{{{{ input.url }}}}', '{}']\n",
        elsewhere.url
    );
    for origins in [both.as_str(), ""] {
        let (outcome, _) = run(&site, &workflow(origins, "click: { text: Link }"), [], []).await;
        assert!(matches!(outcome, Outcome::Completed { .. }), "{outcome:?}");
    }
}

#[tokio::test]
async fn the_browser_knows_every_time_zone_that_a_definition_can_name() {
    let site = Site::start(|_| Some(html(""))).await;
    let zones = serde_json::to_string(&time_zones().collect::<Vec<_>>()).expect("JSON");
    let script = "args.zones.filter(zone => { try { new Intl.DateTimeFormat('en', {timeZone: zone}); return false } catch { return true } })";
    let steps = format!(
        "      - evaluate: {{ script: \"{script}\", args: {{ zones: {zones} }}, as: unknown }}\n"
    );
    let (unknown, _) = output(&site, &steps, "{ unknown: '{{ unknown }}' }").await;
    assert_eq!(unknown, json!({"unknown": []}));
}

#[tokio::test]
async fn what_a_script_gives_is_bounded_and_what_nobody_asked_for_may_be_anything() {
    let site = Site::start(|_| Some(html(""))).await;
    let (kept, _) = output(
        &site,
        "      - evaluate: window\n      - evaluate: { script: '[1, await Promise.resolve(2)] // both', as: both }\n",
        "{ both: '{{ both }}' }",
    )
    .await;
    assert_eq!(kept, json!({"both": [1, 2]}));
    for (script, said) in [
        (
            "'x'.repeat(2 ** 21)",
            "it gave 2097154 bytes, and may give 1048576",
        ),
        ("window", "circular structure"),
        (
            "(() => { let a = []; for (let i = 0; i < 3000; i++) a = [a]; return a })()",
            "nested too deep",
        ),
        (
            "(() => { throw new Error('a ' + args.b) })()",
            "Error: a undefined",
        ),
    ] {
        let yaml = format!(
            "name: Test\nstates: [{{ name: a, steps: [{{ goto: '{{{{ input.url }}}}/' }}, {{ evaluate: {{ script: \"{script}\", as: b }} }}] }}]\n"
        );
        let (outcome, _) = run(&site, &yaml, SECRETS, []).await;
        let Outcome::Failed(failure) = outcome else {
            panic!("{script}: {outcome:?}")
        };
        assert_eq!(failure.code, FailureCode::WorkflowInvalid, "{failure:?}");
        assert!(failure.message.contains(said), "{failure:?}");
    }
}
