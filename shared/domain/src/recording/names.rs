//! Names for states and secrets, made of titles, URLs and labels.

use std::collections::BTreeSet;

/// How long a name is made, in bytes; a number may follow.
const MOST_BYTES: usize = 48;

/// A name like `employee_list` of a text; `None` if nothing in it can be part of one.
pub(super) fn slug(text: &str) -> Option<String> {
    let mut name = String::new();
    for c in text.chars() {
        if name.len() >= MOST_BYTES {
            break;
        }
        if let Some(plain) = plain(c) {
            name.push_str(plain);
        } else if c.is_ascii_alphanumeric() {
            name.push(c.to_ascii_lowercase());
        } else if !name.is_empty() && !name.ends_with('_') {
            name.push('_');
        }
    }
    let name = name.trim_end_matches('_');
    match name.chars().next()? {
        c if c.is_ascii_digit() => Some(format!("page_{name}")),
        _ => Some(name.to_owned()),
    }
}

/// What stands in a name for a letter of the languages of Europe.
fn plain(c: char) -> Option<&'static str> {
    Some(match c.to_lowercase().next()? {
        'à' | 'á' | 'â' | 'ã' | 'å' | 'ā' | 'ă' | 'ą' => "a",
        'ä' | 'æ' => "ae",
        'ç' | 'ć' | 'č' => "c",
        'ď' | 'đ' => "d",
        'è' | 'é' | 'ê' | 'ë' | 'ē' | 'ė' | 'ę' | 'ě' => "e",
        'ğ' => "g",
        'ì' | 'í' | 'î' | 'ï' | 'ī' | 'į' | 'ı' => "i",
        'ł' => "l",
        'ñ' | 'ń' | 'ň' => "n",
        'ò' | 'ó' | 'ô' | 'õ' | 'ő' => "o",
        'ö' | 'ø' | 'œ' => "oe",
        'ř' => "r",
        'ś' | 'š' | 'ş' => "s",
        'ß' => "ss",
        'ť' | 'ţ' => "t",
        'ù' | 'ú' | 'û' | 'ū' | 'ů' | 'ű' => "u",
        'ü' => "ue",
        'ý' | 'ÿ' => "y",
        'ź' | 'ż' | 'ž' => "z",
        _ => return None,
    })
}

/// A name of a URL: of the end of its path, or of its host.
pub(super) fn slug_of_url(url: &str) -> Option<String> {
    let url = url::Url::parse(url).ok()?;
    let last = url.path_segments()?.rfind(|segment| !segment.is_empty());
    let last = last.map(|segment| match segment.rsplit_once('.') {
        Some((name, "html" | "htm" | "php" | "asp" | "aspx" | "jsp" | "do")) => name,
        _ => segment,
    });
    last.and_then(slug)
        .or_else(|| slug(url.host_str()?.trim_start_matches("www.")))
}

/// A name that is not among those that are taken: `a`, `a_2`, `a_3`.
pub(super) fn unique(wanted: &str, taken: &BTreeSet<String>) -> String {
    if !taken.contains(wanted) {
        return wanted.to_owned();
    }
    (2..)
        .map(|number: u32| format!("{wanted}_{number}"))
        .find(|name| !taken.contains(name))
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_made_of_what_people_read() {
        assert_eq!(slug("Employees – May").as_deref(), Some("employees_may"));
        assert_eq!(
            slug("Mint Énergie: Größe").as_deref(),
            Some("mint_energie_groesse")
        );
        assert_eq!(slug("2026 report").as_deref(), Some("page_2026_report"));
        assert_eq!(slug("日本"), None);
        assert_eq!(
            slug_of_url("https://www.a.test/list/users.html?x=1").as_deref(),
            Some("users")
        );
        assert_eq!(
            slug_of_url("https://www.a.test/").as_deref(),
            Some("a_test")
        );
        let taken = BTreeSet::from(["a".to_owned(), "a_2".to_owned()]);
        assert_eq!(unique("a", &taken), "a_3");
    }
}
