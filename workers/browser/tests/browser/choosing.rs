//! Options, boxes and files.

use browser::{Choice, Error, Locator};

use crate::{LATER, PATIENCE, SOON, Stage};

#[tokio::test]
async fn options_are_chosen_by_label_value_index_and_several_at_once() {
    let html = r#"<select multiple><option value="1">One</option><option value="2">Two</option>
        <option value="3">Three</option><optgroup disabled><option value="4">Four</option></optgroup></select>
        <select id="one"><option>A</option><option>B</option></select>"#;
    let stage = Stage::at(&[("/", html)]).await;
    let select = Locator::css("select[multiple]");
    let label = |text: &str| Choice::Label(text.to_owned());
    let choices = [label("One"), Choice::Value("2".to_owned())];
    let page = &stage.page;
    let chosen = page.select_options(&select, &choices, PATIENCE).await;
    assert_eq!(chosen.unwrap(), ["1", "2"]);
    let chosen = page.select_options(&select, &[Choice::Index(2)], PATIENCE);
    assert_eq!(chosen.await.unwrap(), ["3"]);
    assert_eq!(
        page.select_options(&select, &[], PATIENCE).await.unwrap(),
        Vec::<String>::new()
    );
    for (locator, choices, expected) in [
        (&select, vec![label("Four")], "the option is disabled"),
        (
            &select,
            vec![Choice::Value("One".to_owned())],
            "One, Two, Three, Four",
        ),
        (
            &Locator::css("#one"),
            vec![label("A"), label("B")],
            "only one",
        ),
    ] {
        let failed = page.select_options(locator, &choices, SOON).await;
        let failed = failed.unwrap_err().to_string();
        assert!(failed.contains(expected), "{failed}");
    }
}

#[tokio::test]
async fn a_list_is_filled_with_the_value_or_the_label_of_an_option() {
    let html = r#"<select onchange="document.title += this.value"><option value="1">One</option>
        <option value="2">Two</option><option value="3" disabled>Three</option></select>"#;
    let stage = Stage::at(&[("/", html)]).await;
    let list = Locator::css("select");
    for text in ["2", "One"] {
        stage.page.fill(&list, text, PATIENCE).await.unwrap();
    }
    assert_eq!(stage.value("document.title").await, "21");
    for refused in ["3", "Four"] {
        let failed = stage.page.fill(&list, refused, PATIENCE).await;
        let failed = failed.unwrap_err().to_string();
        assert!(failed.contains("only the options One, Two"), "{failed}");
    }
}

#[tokio::test]
async fn an_option_that_comes_late_is_waited_for() {
    let html = "<select></select><script>setTimeout(() => {
        document.querySelector('select').innerHTML = '<option>Late</option>' }, 200)</script>";
    let stage = Stage::at(&[("/", html)]).await;
    stage
        .page
        .select_option(&Locator::css("select"), "Late", PATIENCE)
        .await
        .unwrap();
}

#[tokio::test]
async fn a_box_that_is_styled_away_is_checked_by_its_label() {
    let html = r#"<label><input type="checkbox" style="display: none"> Terms</label>
        <input type="radio" name="r" aria-label="Radio"><div role="checkbox" aria-checked="false" tabindex="0"
        onclick="this.ariaChecked = String(this.ariaChecked !== 'true')">Own</div>"#;
    let stage = Stage::at(&[("/", html)]).await;
    let page = &stage.page;
    for locator in [
        Locator::css("[type=checkbox]"),
        Locator::label("Radio"),
        Locator::css("[role=checkbox]"),
    ] {
        page.set_checked(&locator, true, PATIENCE).await.unwrap();
    }
    let state = "[...document.querySelectorAll('input')].map((box) => box.checked).join()
        + ',' + document.querySelector('[role]').ariaChecked";
    assert_eq!(stage.value(state).await, "true,true,true");
    let failed = page
        .set_checked(&Locator::label("Radio"), false, PATIENCE)
        .await
        .unwrap_err()
        .to_string();
    assert!(failed.contains("the click did not change it"), "{failed}");
}

#[tokio::test]
async fn files_go_to_an_input_to_its_label_and_to_a_chooser_that_a_click_opens() {
    let html = r#"<label for="f">Files</label><input type="file" id="f" multiple hidden><button>Attach</button>
        <input type="file" id="one"><p>not a chooser</p><script>
        document.querySelector('button').onclick = () => {
            const input = document.createElement('input');
            input.type = 'file';
            input.onchange = async () => { window.attached = input.files[0].name + ' ' + await input.files[0].text(); };
            input.click();
        };</script>"#;
    let stage = Stage::at(&[("/", html)]).await;
    let page = &stage.page;
    let files: Vec<_> = ["a.txt", "b.txt"]
        .map(|name| {
            let path = stage.scratch.path().join(name);
            std::fs::write(&path, format!("words of {name}")).unwrap();
            path
        })
        .into();
    let both = [files[0].as_path(), files[1].as_path()];
    let names = "[...document.querySelector('#f').files].map((file) => file.name).join()";
    for locator in [Locator::css("#f"), Locator::text("Files")] {
        page.upload(&locator, &both, PATIENCE).await.unwrap();
        assert_eq!(stage.value(names).await, "a.txt,b.txt");
        page.upload(&locator, &[], PATIENCE).await.unwrap();
        assert_eq!(stage.value(names).await, "");
    }
    let button = Locator::css("button");
    page.upload(&button, &both[..1], PATIENCE).await.unwrap();
    let attached = browser::Condition::Expression("window.attached".to_owned());
    page.wait_for(&attached, PATIENCE).await.unwrap();
    assert_eq!(stage.value("attached").await, "a.txt words of a.txt");

    let one = Locator::css("#one");
    let failed = page.upload(&one, &both, PATIENCE).await.unwrap_err();
    assert!(failed.to_string().contains("only one file"), "{failed}");
    let failed = page
        .upload(&Locator::css("p"), &both, LATER)
        .await
        .unwrap_err();
    assert!(
        failed.to_string().contains("css=p to open a file chooser"),
        "{failed}"
    );
    let none = stage.scratch.path().join("none");
    let failed = page.upload(&one, &[&none], PATIENCE).await.unwrap_err();
    assert!(matches!(failed, Error::Io(_)), "{failed:?}");
}
