//! Every example of the guide is executed, by the real engine in a real browser: those of steps on pages that have what
//! they name, the whole workflows (in `practice`) on the practice site.

use browser::{Browser, LaunchOptions, find_or_install};
use domain::definition::{Definition, Secret};
use engine::{Answer, Chromium, Inputs, Outcome, execute};
use serde_json::json;

use crate::pages::{Page, Site, html};
use crate::scripted::{RecordingHost, Story};

pub(crate) const GUIDE: &str = include_str!("../../../../docs/workflows.md");

/// The examples of the guide, in their order.
pub(crate) fn examples() -> impl Iterator<Item = &'static str> {
    GUIDE
        .split("```yaml\n")
        .skip(1)
        .filter_map(|rest| rest.split("```").next())
}

/// For each example of steps: a line of it, the end of its page's path, and the page.
const PAGES: &[(&str, &str, &str)] = &[
    (
        "id: newsletter",
        "",
        "<div role=dialog aria-label=Newsletter><button onclick='this.parentElement.remove()'>No thanks</button></div><button>Archive</button>",
    ),
    ("- back:\n- reload:", "", "<p>start</p>"),
    (
        "- doubleClick:",
        "",
        "<button>Sign in</button><div id=row-1>row</div><span>More</span><div draggable=true>Report</div><div id=archive style='height:50px'>here</div>",
    ),
    (
        "- type: { label: Search",
        "",
        "<label>Password <input type=password></label><label>Verification code <input></label><label>Search <input></label>",
    ),
    ("- press: Enter", "", "<label>Search <input></label>"),
    (
        "- uncheck:",
        "",
        "<label>Month <select><option>April</option><option>May</option></select></label><select id=teams multiple><option>IT</option><option>HR</option></select><label><input type=checkbox> I have read the terms</label><label><input type=checkbox checked> Newsletter</label>",
    ),
    (
        "- upload: { label: Report",
        "",
        "<label>Report <input type=file multiple></label><a href=/template.csv>Template</a>",
    ),
    (
        "- scroll: bottom",
        "",
        "<div id=list style='height:50px;overflow:auto'><div style='height:500px'></div></div><div style='height:3000px'></div><p id=terms>terms</p>",
    ),
    (
        "- dialog: accept",
        "",
        "<button onclick='confirm(\"sure?\")'>Delete</button>",
    ),
    (
        "- tab: { open:",
        "/overview",
        "<iframe id=payment src=/payment></iframe><a href=/payslip target=_blank>Payslip</a>",
    ),
    (
        "- evaluate: \"window",
        "",
        "<table><tr><td>a</td></tr></table>",
    ),
    (
        "- waitFor: { script:",
        "/employees",
        "<h1>Welcome</h1><table id=employees><tr><td>a</td></tr></table><button>Save</button><button onclick='fetch(\"/api/employees?x=1\")'>Refresh</button><script>ready = true</script>",
    ),
    ("- if:\n", "", "<p>no dialog</p>"),
    (
        "- forEach:",
        "",
        "<label>Month <select><option>April</option><option>May</option></select></label><a href=/export.csv>Export</a><table id=employees><tbody><tr><td><a href=/details>Details</a></td></tr><tr><td><a href=/details>Details</a></td></tr></tbody></table>",
    ),
    (
        "- retry:\n    maxAttempts",
        "",
        "<button onclick='document.body.insertAdjacentHTML(\"beforeend\", \"<table id=employees><tr><td>a</td></tr></table>\")'>Load</button>",
    ),
    ("- assert:", "", "<p>Signed in</p>"),
    ("- fail: { if: input.month", "", "<p>nothing</p>"),
    (
        "locale: de-DE",
        "",
        "<table id=employees aria-busy=false><tbody><tr data-key=1><td>Ada</td><td><ul class=teams><li data-score=1>IT</li><li data-score=2.5>HR</li></ul></td><td><input type=checkbox checked><a href=/details>more</a></td><td>31.05.2026</td><td>84.250,00 €</td></tr></tbody></table>",
    ),
    (
        "pageNumber: { goto:",
        "",
        "<ul id=list><li><h3>a</h3></li></ul><a href='#' onclick='list.innerHTML = \"<li><h3>b</h3></li>\"; this.remove()'>2</a><button onclick='list.insertAdjacentHTML(\"beforeend\", \"<li><h3>c</h3></li>\"); this.remove()'>More</button>",
    ),
    (
        "- get: { css: \"#total\"",
        "",
        "<b id=total>1,200</b><ul class=months><li>April</li><li>May</li></ul>",
    ),
    (
        "- askUser:",
        "",
        "<label>Account <select><option>Payroll</option><option>Staff</option></select></label><label>Verification code <input></label><button>Verify</button>",
    ),
    (
        "- download: { url:",
        "",
        "<a href=/employees.csv>Export CSV</a>",
    ),
    (
        "- screenshot: { css: \"#chart\"",
        "",
        "<p class=iban>DE00</p><div id=chart>chart</div>",
    ),
    (
        "- click: \"#save\"",
        "",
        "<button id=save>Save</button><table id=employees><tr><td>Ada</td></tr></table><button data-testid=accept>yes</button><iframe id=payment src=/payment></iframe><label>Search <input type=search></label>",
    ),
    (
        "- click: { text: Continue }",
        "",
        "<div role=dialog><button>Continue</button></div><p>May</p><p id=status>overdue</p><label><input type=checkbox> Remember me</label><input placeholder=Search><button disabled>Save</button>",
    ),
];

fn answer(path: &str) -> Option<Page> {
    let file = |headers| Page {
        content_type: "text/csv",
        body: "a,b\r\n1,2\r\n".to_owned(),
        headers,
    };
    Some(match path {
        "/login" | "/details" | "/payslip" => html("<h1>hello</h1>"),
        "/payment" => html("<label>IBAN <input></label><button>Pay</button>"),
        "/list?page=2" => html("<ul><li><h3>z</h3></li></ul>"),
        "/list?page=3" => html("<ul></ul>"),
        "/api/employees?x=1" => Page {
            content_type: "application/json",
            body: r#"{"total": 2}"#.to_owned(),
            headers: "",
        },
        "/template.csv" => file("Content-Disposition: attachment; filename=template.csv\r\n"),
        "/export.csv" => file("Content-Disposition: attachment; filename=export.csv\r\n"),
        "/employees.csv" => file("Content-Disposition: attachment; filename=employees.csv\r\n"),
        "/report.pdf" => file("Content-Disposition: attachment; filename=report.pdf\r\n"),
        _ => {
            let number = path.strip_prefix("/page/")?.split('/').next()?;
            html(PAGES.get(number.parse::<usize>().ok()?)?.2)
        }
    })
}

/// The steps of an example, each on its own where one would undo what the next one needs.
fn parts(example: &str) -> Vec<String> {
    if !example.contains("pageNumber: { goto:") {
        return vec![example.to_owned()];
    }
    example.lines().map(|line| format!("{line}\n")).collect()
}

fn answers() -> [Answer; 4] {
    [
        &[("code", "123456")][..],
        &[("account", "Staff"), ("pin", "0000")],
        &[("sure", "yes")],
        &[("second_code", "654321")],
    ]
    .map(|values| {
        let values = values
            .iter()
            .map(|(name, value)| ((*name).to_owned(), Secret::new(*value)));
        Answer::Given(values.collect())
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_example_of_steps_in_the_guide_is_executed() {
    let site = Site::start(answer).await;
    let executable = find_or_install(&mut |_| {}).await.expect("a browser");
    let scratch = tempfile::tempdir().expect("a folder");
    let browser = Browser::launch(&LaunchOptions::new(executable, scratch.path()))
        .await
        .expect("it starts");
    let page = browser.page().await.expect("a page");
    let mut executed = 0;
    for example in examples().filter(|example| !example.starts_with("name:")) {
        let found = PAGES
            .iter()
            .enumerate()
            .find(|(_, (line, _, _))| example.contains(line));
        let Some((number, (_, end, _))) = found else {
            panic!("no page is here for the example\n{example}");
        };
        for part in parts(example) {
            let steps: String = part
                .replace("https://example.com", &site.url)
                .lines()
                .map(|line| format!("      {line}\n"))
                .collect();
            let yaml = format!(
                "name: Example\nstates:\n  - name: trying\n    steps:\n      - goto: '{{{{ input.baseUrl }}}}/page/{number}{end}'\n{steps}"
            );
            let definition = Definition::parse_yaml(&yaml)
                .unwrap_or_else(|errors| panic!("{yaml}\n{errors:#?}"));
            let mut tabs = Chromium::new(page.clone());
            let mut host = RecordingHost::new(&Story::default());
            host.answers.extend(answers());
            let secrets = [
                ("hr_password", "correct-horse-battery"),
                ("hr_totp", "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"),
                ("iban", "DE02120300000000202051"),
            ];
            let inputs = Inputs {
                input: json!({"baseUrl": site.url, "month": "May", "months": ["April", "May"], "logo": "aGVsbG8=", "amount": 5}),
                secrets: secrets
                    .map(|(name, value)| (name.to_owned(), Secret::new(value)))
                    .into(),
                outputs: json!({}),
            };
            let never = std::future::pending();
            let report = execute(&definition, inputs, &mut tabs, &mut host, never)
                .await
                .expect("not interrupted");
            let expected = if example.contains("endWithNoAction: { if: input.month") {
                Outcome::NoAction {
                    reason: "Nothing is due in May".to_owned(),
                }
            } else {
                Outcome::Completed { output: None }
            };
            let log = host.text("log.jsonl");
            assert_eq!(report.outcome, expected, "{part}\n{log}");
            // What was passed over because a step said so would hide an example that is wrong.
            assert!(!log.contains("step_failed"), "{part}\n{log}");
            executed += 1;
        }
    }
    browser.close().await;
    assert!(executed >= PAGES.len(), "{executed} were executed");
}
