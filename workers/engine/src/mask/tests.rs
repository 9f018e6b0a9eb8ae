//! What the mask knows, and what it leaves alone.

use serde_json::json;

use super::*;

#[test]
fn a_secret_is_masked_in_every_shape_that_text_gives_it() {
    let mask = Mask::new(["p&ss \"w<rd'ä", "abc", "abcd"]);
    for shape in [
        "p&ss \"w<rd'ä",
        "p&amp;ss &quot;w&lt;rd'ä",
        "p&amp;ss \"w&lt;rd'ä",
        "p%26ss+%22w%3Crd%27%C3%A4",
        r#"p&ss \"w<rd'ä"#,
        // What a browser makes of it in a URL's query, and in a path.
        "p&ss%20%22w%3Crd%27%C3%A4",
        "p&ss%20%22w%3Crd'%c3%a4",
        r#"p\u0026ss \"w\u003Crd'\u00e4"#,
        // What a browser makes of it in a file's name.
        "p&ss _w_rd'ä",
    ] {
        assert_eq!(mask.apply(&format!("<{shape}>")), "<•••>", "{shape}");
    }
    assert_eq!(
        mask.apply("abcd abc"),
        "••• abc",
        "three characters are not masked"
    );
}

#[test]
fn a_secret_is_masked_in_other_letter_cases_too() {
    let mask = Mask::new(["Geheim-Straße é"]);
    for shape in [
        "geheim-straße é",
        "GEHEIM-STRASSE É",
        "GEHEIM-STRA%C3%9FE+%C3%89",
        r"geheim-stra\u00dfe \u00c9",
    ] {
        assert_eq!(mask.apply(&format!("<{shape}>")), "<•••>", "{shape}");
    }
}

#[test]
fn a_pdf_keeps_its_length_and_loses_the_values_in_its_text() {
    let mask = Mask::new(["p&ss wörd"]);
    let pdf = b"%PDF\xff/URI (http://a.test/?t=p%26ss+w%C3%B6rd&b=1)\n\xd3p&ss".to_vec();
    let masked = mask.apply_to_pdf(pdf.clone());
    assert_eq!(masked.len(), pdf.len());
    let text = String::from_utf8_lossy(&masked).into_owned();
    assert!(text.contains("?t=****************&b=1)"), "{text}");
    assert!(text.ends_with("p&ss"), "{text}");
}

#[test]
fn a_value_that_looks_escaped_is_masked_raw_and_escaped() {
    let mask = Mask::new(["100%25"]);
    assert_eq!(mask.apply("a 100%25 b 100%2525 c"), "a ••• b ••• c");
    assert_eq!(
        mask.apply("100% 25"),
        "100% 25",
        "only the whole value is masked"
    );
}

fn assert_masked(secret: &str, shapes: &[&str]) {
    let mask = Mask::new([secret]);
    for shape in shapes {
        assert_eq!(mask.apply(&format!("<{shape}>")), "<•••>", "{shape}");
    }
}

#[test]
fn a_secret_is_masked_in_every_way_in_which_html_writes_it() {
    assert_masked(
        "hun&ter'22\"ü",
        &[
            "&#104;&#117;&#110;&#38;&#116;&#101;&#114;&#39;&#50;&#50;&#34;&#252;",
            "&#x68;&#x75;&#x6E;&#x26;&#x74;&#x65;&#x72;&#x27;&#x32;&#x32;&#x22;&#xFC;",
            "&#0104;un&AMP;ter&apos;22&QUOT;&uuml;",
            "hun&ampter&#39;22&quot;&Uuml;",
            // In the HTML of a frame in an attribute.
            "hun&amp;amp;ter'22&amp;quot;&amp;#252;",
            "hun&amp;amp;amp;ter'22&amp;amp;quot;ü",
        ],
    );
}

#[test]
fn a_secret_is_masked_in_every_way_in_which_scripts_and_urls_write_it() {
    assert_masked(
        "a b/ü€\u{1f600}\"'1",
        &[
            r#"\x61\x20\x62\x2f\xfc\u20ac\ud83d\ude00\x22\x27\x31"#,
            r#"\u0061 b\/\u00FC\u20AC\u{1F600}\"\'1"#,
            r#"a b\\/\\u00fc€😀\\\"'1"#,
            r"\61\20 b\/\fc€😀\22\27\31",
            r#"\xe2\x61"#.replace(r"\xe2\x61", r#"a b/\xc3\xbc\xe2\x82\xac😀"'1"#).as_str(),
            // What a form sends, a URL in a URL, and what `escape` makes.
            "a+b%2F%C3%BC%E2%82%AC%F0%9F%98%80%22%271",
            "a%2520b%252F%25C3%25BC%25E2%2582%25AC%25F0%259F%2598%2580%2522%25271",
            "a%20b/%FC%u20AC%uD83D%uDE00%22%271",
            // CSV, SQL.
            "a b/ü€😀\"\"'1",
            "a b/ü€😀\"''1",
        ],
    );
}

#[test]
fn a_secret_is_masked_in_base64_wherever_in_it_it_begins() {
    let secret = "correct?horse>22ü";
    let mask = Mask::new([secret]);
    for before in ["", "u", "us", "user:", "ab:", "abc:"] {
        for after in ["", "x", "yz", " and more"] {
            let whole = format!("{before}{secret}{after}");
            for encoded in [
                base64::engine::general_purpose::STANDARD.encode(&whole),
                base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(&whole),
            ] {
                for text in [
                    format!("Basic {encoded}"),
                    format!(
                        "/?t={}",
                        encoded
                            .replace('/', "%2F")
                            .replace('+', "%2B")
                            .replace('=', "%3D")
                    ),
                ] {
                    let masked = mask.apply(&text);
                    let (start, end) =
                        (before.len() * 8 / 6, (before.len() + secret.len()) * 8 / 6);
                    let own = &encoded[start..=end.min(encoded.len() - 1)];
                    assert!(masked.contains("•••"), "{text}: {masked}");
                    for window in own.as_bytes().windows(6) {
                        let window = String::from_utf8_lossy(window);
                        assert!(!masked.contains(&*window), "{text}: {window} in {masked}");
                    }
                }
            }
        }
    }
    assert_eq!(mask.apply("Basic Y29ycmVjdA=="), "Basic Y29ycmVjdA==");
    // What `btoa` makes of the letters of Latin-1, and Base64 in lines.
    let mask = Mask::new(["süßes-geheimnis"]);
    assert_eq!(mask.apply("c/zfZXMtZ2VoZWltbmlz"), "•••");
    assert_eq!(mask.apply("c/zfZXMt\r\nZ2VoZWlt\r\nbmlz"), "•••");
}

use base64::Engine as _;

#[test]
fn a_secret_is_masked_in_hexadecimal_digits_and_backwards() {
    assert_masked(
        "hunter22",
        &[
            "68756e7465723232",
            "68756E7465723232",
            "68 75 6e 74 65 72 32 32",
            "68:75:6e:74:65:72:32:32",
            "22retnuh",
            "22RETNUH",
        ],
    );
    assert_eq!(
        Mask::new(["abcde"]).apply("edcba"),
        "edcba",
        "a short one is not looked for backwards"
    );
}

#[test]
fn a_secret_is_masked_whatever_letters_stand_for_the_same() {
    assert_masked(
        "ΟΔΥΣΣΕΥΣ",
        &[
            "οδυσσευς",
            "οδυσσευσ",
            "Οδυσσεύς".replace('ύ', "υ").as_str(),
        ],
    );
    assert_masked(
        "straße-kelvin",
        &[
            "STRASSE-KELVIN",
            "STRAẞE-\u{212a}ELVIN",
            "\u{17f}traſſe-kelvin",
        ],
    );
    assert_masked("office", &["oﬃce", "OﬃCE"]);
}

#[test]
fn a_secret_is_masked_over_tags_and_what_has_no_width() {
    let mask = Mask::new(["hunter22"]);
    for (html, masked) in [
        ("<p><b>h</b>unter22</p>", "<p><b>•••</b></p>"),
        (
            "<td>hunt</td>\n  <td class=\"a\">er22</td>",
            "<td>•••</td><td class=\"a\"></td>",
        ),
        ("hun\u{ad}ter\u{200b}22&shy;", "•••&shy;"),
        ("&lt;b&gt;h&lt;/b&gt;unter22", "&lt;b&gt;•••"),
        (
            "<i>h</i><i title=\"hunter22\">unter22</i>",
            "<i>•••</i><i title=\"•••\"></i>",
        ),
        (
            "\\u003cb\\u003eh\\u003c/b\\u003eunter22",
            "\\u003cb\\u003e•••",
        ),
    ] {
        assert_eq!(mask.apply(html), masked, "{html}");
    }
    assert_eq!(
        Mask::new(["theman"]).apply("the man, the-man <i>the</i> man"),
        "the man, the-man <i>•••</i>",
        "between letters, white space counts only beside a tag"
    );
}

#[test]
fn a_text_full_of_tags_that_never_end_is_looked_through_once_for_their_ends() {
    for opening in ["<", "&lt;", "\\u003c"] {
        let text = format!("h{opening}").repeat(10_000);
        let tags = text
            .match_indices(opening)
            .map(|(at, _)| at + opening.len());
        let looked_at = tags.map(|at| super::needle::inside_of_tag(&text, at, opening).len());
        assert!(looked_at.sum::<usize>() < text.len());
    }
}

#[test]
fn a_number_is_masked_in_groups_as_people_write_it() {
    assert_masked(
        "DE12345678901234567890",
        &[
            "DE12 3456 7890 1234 5678 90",
            "DE12-3456-7890-1234-5678-90",
            "de12\u{a0}3456\u{202f}7890&nbsp;1234 5678 90",
        ],
    );
    assert_eq!(
        Mask::new(["123456"]).apply("12 3456, 123,456"),
        "12 3456, 123,456",
        "a short one is not"
    );
    assert_eq!(
        Mask::new(["00123456"]).apply("{\"code\":123456}"),
        "{\"code\":•••}"
    );
}

#[test]
fn white_space_in_a_secret_may_be_any_other() {
    assert_masked(
        " two  words\nhere ",
        &[
            "two words here",
            "two\twords\r\nhere",
            "two\\n words&#10;here",
            "two+words%0Ahere",
        ],
    );
    let key = "-----BEGIN KEY-----\nMIIEvQIBADANBgkq\nhkiG9w0BAQEFAASC\n-----END KEY-----";
    assert_eq!(
        Mask::new([key]).apply("a hkiG9w0BAQEFAASC b"),
        "a ••• b",
        "each long line counts"
    );
}

#[test]
fn a_secret_that_is_cut_into_parts_is_masked_in_what_was_read() {
    let mask = Mask::new(["hunter22"]);
    assert_eq!(
        mask.apply_to_read(json!(["an", "h", "u", "n", {"a": "ter", "b": 22}, 5])),
        json!(["an", "•••", "•••", "•••", {"a": "•••", "b": "•••"}, 5]),
    );
    assert_eq!(
        mask.apply_to_read(json!(["x hunt", "er22 y", 22])),
        json!(["x •••", "••• y", 22])
    );
    assert_eq!(mask.apply_to_read(json!("68756e7465723232")), json!("•••"));
    assert_eq!(
        Mask::new(["123456"]).apply_to_read(json!([12, 3456])),
        json!([12, 3456]),
        "a short number could be anything's"
    );
}

#[test]
fn plain_text_is_left_alone() {
    let mask = Mask::new([
        "hunter22",
        "a1b2c3d4",
        "100%",
        "<b>&\"'",
        "süß-1",
        "0000",
        "päss wörd",
    ]);
    for text in [
        "",
        "h",
        "%",
        "&",
        "\\",
        "%2",
        "&#",
        "&#x",
        "\\u",
        "\\x6",
        "%u00",
        "&amp",
        "\\\\\\\\\\\\\\\\\\\\",
        "100 %",
        "the hunter has 22",
        "&nosuch; &#99999999; &#xD800;",
        "ü\u{301}€😀%C3%28%FF",
        "hunter2",
        "unter22",
        "<b>bold</b> & \"quoted\"",
        "0 0 0 0",
    ] {
        assert_eq!(mask.apply(text), text);
    }
}

#[test]
fn a_title_in_utf_16_is_masked_in_a_pdf() {
    let title: Vec<u8> = "Ü hunter22 x"
        .encode_utf16()
        .flat_map(u16::to_be_bytes)
        .collect();
    let pdf = [b"(\xfe\xff".as_slice(), &title, b")"].concat();
    let masked = Mask::new(["hunter22"]).apply_to_pdf(pdf.clone());
    let wanted: Vec<u8> = "Ü ******** x"
        .encode_utf16()
        .flat_map(u16::to_be_bytes)
        .collect();
    assert_eq!(masked, [b"(\xfe\xff".as_slice(), &wanted, b")"].concat());
}

#[test]
fn a_file_of_text_is_masked_in_its_own_encoding_and_any_other_left_alone() {
    let mask = Mask::new(["hünter22"]);
    let utf16 =
        |text: &str| -> Vec<u8> { text.encode_utf16().flat_map(u16::to_le_bytes).collect() };
    assert_eq!(
        mask.apply_to_file("a;hünter22".as_bytes()),
        Some("a;•••".as_bytes().to_vec())
    );
    assert_eq!(
        mask.apply_to_file(&utf16("\u{feff}a;hünter22")),
        Some(utf16("\u{feff}a;•••"))
    );
    assert_eq!(
        mask.apply_to_file(b"\xe4;h\xfcnter22"),
        Some(b"\xe4;***".to_vec())
    );
    assert_eq!(mask.apply_to_file("a;hünter".as_bytes()), None);
    assert_eq!(mask.apply_to_file(b"PK\x03\x04\x00\xff h\xfcnter22"), None);
}

#[test]
fn no_text_however_broken_stops_the_mask_or_keeps_a_secret() {
    let secrets = [
        "hunter22",
        "pä%&\\\"'<x>",
        "-----BEGIN KEY-----\nMIIEvQIBADANBgkq\n-----END KEY-----",
    ];
    let mask = Mask::new(secrets);
    let pieces = [
        "%", "&", "\\", "#", "x", "u", "{", "}", ";", "25", "amp;", "\"", "'", "+", "_", "<", ">",
        "é", "€", "😀", "\u{ad}", "68", "d83d", "\n", "h", "unter22", "hunter2", "Mzc=", "aHVu",
        "d800", "lt;", "/", "-",
    ];
    let mut state = 1_u64;
    for _ in 0..3_000 {
        let mut text = String::new();
        for _ in 0..40 {
            // Knuth's numbers: the same in each run.
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            let chosen = usize::try_from(state >> 33).unwrap_or_default();
            text.push_str(pieces[chosen % pieces.len()]);
        }
        text.push_str(secrets[text.len() % 3]);
        let masked = mask.apply(&text);
        for secret in secrets {
            assert!(!masked.contains(secret), "{text}");
        }
        assert!(!mask.find(&text).is_empty(), "{text}");
    }
}

#[test]
fn the_key_in_an_authenticators_url_is_masked_by_itself() {
    let url = "otpauth://totp/Portal:hr?secret=GEZDGNBVGY3TQOJQ&issuer=Portal";
    let mask = Mask::new([url]);
    assert_eq!(mask.apply(&format!("<{url}>")), "<•••>");
    assert_eq!(mask.apply("gezd gnbv gy3t qojq, Portal"), "•••, Portal");
}

#[test]
fn a_short_number_is_masked_in_the_strings_of_a_pdf_and_not_in_its_structure() {
    let mask = Mask::new(["123456"]);
    let pdf =
        "0000123456 00000 n\n/Length 123456 /URI (http://a.test/\\(?t=123456) /Title (Code 123456)";
    let masked = mask.apply_to_pdf(pdf.as_bytes().to_vec());
    assert_eq!(
        String::from_utf8_lossy(&masked),
        "0000123456 00000 n\n/Length 123456 /URI (http://a.test/\\(?t=******) /Title (Code ******)"
    );
}

#[test]
fn the_numbers_of_a_log_and_of_a_recording_are_no_secrets() {
    let mask = Mask::new(["1234"]);
    assert_eq!(
        mask.apply_to_log(
            "{\"atMs\":51234,\"message\":\"1234, \\\":1234 \",\"found\":\":1234\"}\n"
        ),
        "{\"atMs\":51234,\"message\":\"•••, \\\":••• \",\"found\":\":•••\"}\n"
    );
    assert_eq!(
        mask.apply_to_recording(json!({"time": 1234, "url": "/1234", "a1234": []})),
        json!({"time": 1234, "url": "/•••", "a•••": []})
    );
}

#[test]
fn how_a_typed_secret_begins_is_masked_from_half_of_it_on() {
    let mask = Mask::with_typed(
        ["Geheim<7 Strasse", "entered-at-once"],
        ["Geheim<7 Strasse"],
    );
    for shape in [
        "Geheim<7",
        "geheim%3C7 ",
        "Geheim&lt;7 Str",
        "geheim<7+Strass",
        "<b>Ge</b>heim<7 Strasse",
        "Geheim<7 Strasse",
    ] {
        let masked = mask.apply(&format!("q={shape}&x=1"));
        let left = masked.replace("<b>", "").replace("</b>", "");
        assert_eq!(left.replace(' ', ""), "q=•••&x=1", "{shape}: {masked}");
    }
    for shape in ["Geheim", "a geheim thing", "entered-at-onc"] {
        assert_eq!(mask.apply(shape), shape);
    }
    let mask = Mask::with_typed(["SuperSecretPa55phrase"], ["SuperSecretPa55phrase"]);
    for between in [" ", "\n", "</li><li>", "\u{200b}"] {
        let text = ["SuperSecretPa55phra", "SuperSecretPa55phras"].join(between);
        assert_eq!(mask.apply(&text), ["•••", "•••"].join(between));
    }
}
