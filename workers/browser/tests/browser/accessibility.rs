//! Roles and names, held against the accessibility tree that Chromium itself makes.

use browser::{By, Locator};
use serde_json::{Value, json};

use crate::{PATIENCE, Stage};

/// Each element with an id is compared.
const PAGE: &str = r##"
<button id="b1">Save</button>
<button id="b2"><span aria-hidden="true">x</span><span style="display:none">no</span>Close <b>now</b></button>
<button id="b3" aria-label="Label wins">Text</button>
<button id="b4" title="Title helps"></button>
<button id="b5"><img alt="Print" src="data:image/gif;base64,R0lGODlhAQABAAAAACw="></button>
<button id="b6"><svg role="img" aria-label="Gear"></svg></button>
<button id="b7">two
   lines<br>and more</button>
<button id="b8"><div>block</div><div>parts</div></button>
<style>.before::before { content: "before "; } .after::after { content: " after"; } .icon::before { content: "\e001" / "icon" }</style>
<button id="b9" class="before after">middle</button>
<button id="b10" aria-labelledby="ref1 ref2">ignored</button><span id="ref1" hidden>Hidden</span><span id="ref2">reference</span>
<button id="b11" aria-labelledby="b11 ref2" aria-label="Self">x</button>
<input id="i1" type="submit"><input id="i2" type="reset"><input id="i3" type="button" value="Go">
<input id="i4" type="image" alt="Search">
<label>Email <input id="i5" type="email"></label>
<label for="i6">Phone</label><input id="i6" type="tel">
<label for="i7">First</label><label for="i7">Second</label><input id="i7">
<input id="i8" placeholder="Type here">
<input id="i9" title="From title" placeholder="From placeholder">
<input id="i10" type="checkbox" aria-label="Check"><input id="i11" type="radio" aria-label="Radio">
<input id="i12" type="range" aria-label="Range"><input id="i13" type="number" aria-label="Number">
<input id="i14" type="search" aria-label="Search"><input id="i15" list="dl" aria-label="Combo"><datalist id="dl"><option>a</option></datalist>
<label>Pay <input id="i16" type="text" value="5"> euros</label>
<label>I want <select id="s1"><option>one</option><option selected>two</option></select> of them</label>
<select id="s2" multiple aria-label="Many"><option id="o1">Option 1</option></select>
<textarea id="t1" aria-label="Area"></textarea>
<a id="a1" href="#">Link <i>text</i></a><a id="a2">No href</a><a id="a3" href="#"><img alt="Logo" src="data:image/gif;base64,R0lGODlhAQABAAAAACw="></a>
<h1 id="h1">One</h1><h2 id="h2" aria-label="Two label">Two</h2><div id="h3" role="heading" aria-level="3">Three</div>
<img id="g1" alt="Picture" src="data:image/gif;base64,R0lGODlhAQABAAAAACw="><img id="g2" alt="" src="data:image/gif;base64,R0lGODlhAQABAAAAACw="><img id="g3" title="Titled" src="data:image/gif;base64,R0lGODlhAQABAAAAACw=">
<nav id="n1" aria-label="Main"><ul id="u1"><li id="l1">Item</li></ul></nav>
<main id="m1"><section id="se1" aria-label="Region">x</section><section id="se2">plain</section><article id="ar1">y</article><aside id="as1">z</aside></main>
<header id="he1">top</header><footer id="fo1">bottom</footer>
<form id="f1" aria-label="Form"></form>
<fieldset id="fs1"><legend>Legend</legend></fieldset>
<table id="tb1"><caption>Caption</caption><thead><tr id="tr1"><th id="th1">Head</th></tr></thead><tbody><tr><th id="th2" scope="row">Row</th><td id="td1">Cell <b>bold</b></td></tr></tbody></table>
<table id="tb2" role="grid" aria-label="Grid"><tr><td id="td2">G</td></tr></table>
<details id="de1" open><summary id="su1">Summary</summary>Body</details>
<dialog id="di1" open aria-label="Dialog">x</dialog>
<progress id="p1" aria-label="Progress"></progress><meter id="me1" aria-label="Meter"></meter><output id="ou1" aria-label="Output"></output>
<hr id="hr1"><p id="pa1">Paragraph</p><blockquote id="bq1">q</blockquote><code id="co1">c</code><figure id="fi1"><figcaption>Figure</figcaption></figure>
<div id="r1" role="button" tabindex="0">Fake</div><div id="r2" role="nonsense button">Fallback</div><span id="r3" role="tab">Tab</span>
<div id="r4" role="switch" aria-checked="true">Switch</div><div id="r5" role="menuitem">Menu item</div><div id="r6" role="alert">Alert</div><div id="r7" role="textbox" contenteditable aria-label="Box"></div>
<div id="r8" role="listbox" aria-label="List"><div id="r9" role="option">Opt</div></div>
<button id="x1" role="presentation">Conflict</button><ul id="x2" role="none"><li>x</li></ul><div id="x3" role="img" aria-label="Drawn"></div>
<div aria-hidden="true"><button id="y1">Hidden</button></div><button id="y2" style="visibility:hidden">Invisible</button>
<div id="host"></div><script>
  const root = document.querySelector("#host").attachShadow({ mode: "open" });
  root.innerHTML = '<button><slot>fallback</slot></button>';
</script>
<button id="z1">Number <input aria-label="count" value="7"> of</button>
<div id="z2" role="checkbox" aria-checked="false" aria-labelledby="z3"></div><label id="z3">By <em>label</em></label>
<svg id="v1" role="img"><title>Vector</title></svg>
<iframe id="if1" title="Frame"></iframe>
<a id="a4" href="#" aria-label="">Empty label</a><a id="a5" href="#" title="Tip">Text and tip</a>
"##;

/// What ARIA calls otherwise than Chromium's tree.
fn aria(role: &str) -> &str {
    match role {
        "image" => "img",
        "LabelText" | "Iframe" | "DescriptionList" | "Figcaption" | "Legend" => "generic",
        "DisclosureTriangle" | "DisclosureTriangleGrouped" => "button",
        "Details" => "group",
        other => other,
    }
}

#[tokio::test]
async fn roles_and_names_are_those_of_the_browsers_accessibility_tree() {
    let stage = Stage::at(&[("/", PAGE)]).await;
    let page = &stage.page;
    let call = |method: &'static str, params: Value| page.protocol(method, params, PATIENCE);
    let document = call("DOM.getDocument", json!({})).await.unwrap();
    let params = json!({"nodeId": document["root"]["nodeId"], "selector": "[id]"});
    let nodes = call("DOM.querySelectorAll", params).await.unwrap();
    let mut differences = Vec::new();
    let mut compared = 0;
    for node in nodes["nodeIds"].as_array().unwrap() {
        let described = call("DOM.describeNode", json!({"nodeId": node}))
            .await
            .unwrap();
        let attributes = described["node"]["attributes"].as_array().unwrap();
        let at = attributes.iter().position(|name| name == "id").unwrap();
        let id = attributes[at + 1].as_str().unwrap().to_owned();
        let params = json!({"nodeId": node, "fetchRelatives": false});
        let tree = call("Accessibility.getPartialAXTree", params)
            .await
            .unwrap();
        let known = &tree["nodes"][0];
        let role = known["role"]["value"].as_str().unwrap_or_default();
        let name = known["name"]["value"].as_str().unwrap_or_default();
        let is_ignored = known["ignored"] == true;
        let role = aria(role);
        if !is_ignored && ["generic", "none", "StaticText", "Section"].contains(&role) {
            continue;
        }
        compared += 1;
        let this = Locator::css(format!("#{id}"));
        let mut by_role = Locator::new(By::Role {
            role: role.to_owned(),
            name: (!name.is_empty()).then(|| name.to_owned()),
        });
        by_role.exact = true;
        let found = matches(&stage, &by_role, &id).await;
        if is_ignored {
            // Whatever role it had, people can't find it.
            let any = Locator::new(By::Role {
                role: "button".to_owned(),
                name: None,
            });
            if matches(&stage, &any, &id).await {
                differences.push(format!("{this}: ignored by the browser, but found"));
            }
        } else if !found {
            differences.push(format!("{this}: the browser says {role} {name:?}"));
        }
    }
    assert!(compared > 70, "only {compared}");
    assert_eq!(differences, Vec::<String>::new());
}

/// Whether the element with this id is among those that a locator names.
async fn matches(stage: &Stage, locator: &Locator, id: &str) -> bool {
    let field = browser::Field {
        name: "id".to_owned(),
        locator: None,
        read: browser::Read::Attribute("id".to_owned()),
    };
    let rows = stage.page.read_rows(locator, &[field]).await.unwrap();
    rows.cells.iter().any(|row| row[0].as_deref() == Some(id))
}
