//! SVG: sizes, what is drawn and what is left out, and the limits.

use bytesize::ByteSize;

use super::*;
use crate::recipe::geometry::Length;
use crate::recipe::{Crop, Gravity, Placeholder, Rotate, Wishes};

fn declared(svg: &str) -> Declaration {
    inspect(svg.as_bytes(), &recipe([one(Target::Png)]), &Limits::default()).unwrap()
}

fn refusal(svg: &[u8], limits: &Limits) -> Refusal {
    inspect(svg, &recipe([one(Target::Png)]), limits).unwrap_err()
}

#[test]
fn the_size_is_what_the_root_says() {
    for (attributes, size) in [
        (r#"width="40" height="30""#, (40, 30)),
        (r#"width="1in" height="2.54cm""#, (96, 96)),
        (r#"width="30pt" height="10mm""#, (40, 38)),
        (r#"width="2em" height="1e1px""#, (24, 10)),
        (r#"viewBox="0 0 70 20""#, (70, 20)),
        (r#"viewBox="-5,-5,70,20" width="35""#, (35, 10)),
        (r#"viewBox="0 0 70 20" height="40""#, (140, 40)),
        (r#"viewBox="0 0 70 20" width="50%" height="100%""#, (35, 20)),
        (r#"viewBox="0 0 70.2 20" width="100" height="10""#, (100, 10)),
        (r#"viewBox="0 0 0 20""#, (300, 150)),
        (r#"width="40""#, (40, 150)),
        ("", (300, 150)),
    ] {
        let svg = format!(r#"<svg xmlns="http://www.w3.org/2000/svg" {attributes}><rect width="9" height="9"/></svg>"#);
        let seen = declared(&svg);
        assert_eq!((seen.width, seen.height), size, "{attributes}");
        // The renderer agrees.
        let picture = read_back(&converted(svg.as_bytes(), &recipe([one(Target::Png)])));
        assert_eq!((picture.width, picture.height), size, "{attributes}");
    }
    for attributes in [r#"width="0" height="1""#, r#"width="-4" height="1""#] {
        let svg = format!(r#"<svg xmlns="http://www.w3.org/2000/svg" {attributes}/>"#);
        assert_eq!(refusal(svg.as_bytes(), &Limits::default()).reason, Reason::Corrupt);
    }
    let huge = samples::svg(20_000, 20_000, "");
    assert_eq!(refusal(&huge, &Limits::default()).reason, Reason::TooManyPixels);
}

#[test]
fn it_is_drawn_as_large_as_it_is_needed() {
    // Stripes of one pixel at 400 × 400: a blur if it were drawn at its own size and enlarged.
    let stripes: String = (0..200)
        .map(|x| format!(r#"<rect x="{}" width=".05" height="20"/>"#, f64::from(x) / 10.0))
        .collect();
    let svg = samples::svg(
        20,
        20,
        &format!(r##"<rect width="20" height="20" fill="#fff"/>{stripes}"##),
    );
    let large = Rendition {
        width: Some(400),
        enlarge: true,
        ..one(Target::Png)
    };
    let small = Rendition {
        name: "small".into(),
        width: Some(10),
        ..one(Target::Png)
    };
    let (made, output) = outcome(&svg, &recipe([large, small])).unwrap();
    assert_eq!((made[0].width, made[1].width), (400, 10));
    let picture = read_back(&output[..made[0].bytes as usize]);
    let row: Vec<u8> = (0..8).map(|x| pixel(&picture, x, 200)[0]).collect();
    assert_eq!(row, [0, 255, 0, 255, 0, 255, 0, 255]);
    let cover = Rendition {
        width: Some(300),
        height: Some(100),
        fit: Fit::Cover,
        enlarge: true,
        ..one(Target::Png)
    };
    let (made, _) = outcome(&svg, &recipe([cover])).unwrap();
    assert_eq!((made[0].width, made[0].height), (300, 100));
    let beyond = Rendition {
        width: Some(16_000),
        enlarge: true,
        ..one(Target::Png)
    };
    let refusal = inspect(&svg, &recipe([beyond]), &Limits::default()).unwrap_err();
    assert_eq!(refusal.reason, Reason::TooManyPixels);
}

/// Red on the left, blue on the right, and a thin green line at the bottom: 20 × 10.
fn halves() -> Vec<u8> {
    let body = r##"<rect width="10" height="10" fill="#f00"/><rect x="10" width="10" height="10" fill="#00f"/>
        <rect y="9.9" width="20" height=".1" fill="#0f0"/>"##;
    samples::svg(20, 10, body)
}

#[test]
fn it_is_turned_and_cut_at_the_size_it_is_drawn() {
    let (red, green, blue) = ([255, 0, 0], [0, 255, 0], [0, 0, 255]);
    let turned = Rendition {
        rotate: Rotate::Right,
        width: Some(100),
        enlarge: true,
        ..one(Target::Png)
    };
    let picture = read_back(&converted(&halves(), &recipe([turned.clone()])));
    assert_eq!((picture.width, picture.height), (100, 200));
    // What was at the bottom is on the left, and sharp: it was drawn at this size.
    let row: Vec<Vec<u8>> = (0..3).map(|x| pixel(&picture, x, 50)).collect();
    assert_eq!(row, [green, red, red]);
    assert_eq!(
        (pixel(&picture, 50, 99), pixel(&picture, 50, 100)),
        (red.to_vec(), blue.to_vec())
    );

    let stretched = Rendition {
        height: Some(50),
        fit: Fit::Fill,
        ..turned
    };
    let picture = read_back(&converted(&halves(), &recipe([stretched])));
    assert_eq!((picture.width, picture.height), (100, 50));
    assert_eq!(
        (pixel(&picture, 50, 24), pixel(&picture, 50, 25)),
        (red.to_vec(), blue.to_vec())
    );

    let crop = Crop {
        x: Length::Pixels(8),
        y: Length::Pixels(0),
        width: Length::Pixels(4),
        height: Length::Pixels(5),
    };
    let part = Rendition {
        crop: Some(crop),
        width: Some(80),
        enlarge: true,
        ..one(Target::Png)
    };
    let picture = read_back(&converted(&halves(), &recipe([part])));
    assert_eq!((picture.width, picture.height), (80, 100));
    assert_eq!(
        (pixel(&picture, 39, 50), pixel(&picture, 40, 50)),
        (red.to_vec(), blue.to_vec())
    );
}

#[test]
fn attention_finds_its_cut_in_what_was_drawn() {
    let body = r##"<rect width="400" height="50" fill="#888"/><circle cx="340" cy="25" r="12" fill="#e10"/>"##;
    for width in [20, 200] {
        let cut = Rendition {
            width: Some(width),
            height: Some(width),
            fit: Fit::Cover,
            gravity: Gravity::Attention,
            enlarge: true,
            ..one(Target::Png)
        };
        let picture = read_back(&converted(&samples::svg(400, 50, body), &recipe([cut])));
        assert_eq!((picture.width, picture.height), (width, width));
        let red = pixel(&picture, width / 2, width / 2);
        assert!(red[0] > 200 && red[1] < 60, "{width}: {red:?}");
    }
}

#[test]
fn a_placeholder_and_facts_are_told_of_a_drawing() {
    let wishes = Wishes {
        placeholder: Some(Placeholder::Dominant),
        info: true,
        ..Wishes::default()
    };
    let alone = Recipe::of(wishes.clone()).unwrap();
    let facts = Recipe::of(Wishes {
        placeholder: None,
        ..wishes
    });
    let declared = |recipe: &Recipe| inspect(&halves(), recipe, &Limits::default()).unwrap();
    assert_eq!((declared(&alone).width, declared(&alone).height), (20, 10));
    let mut output = Vec::new();
    let product = convert(&halves(), &alone, &Limits::default(), &mut |_| {}, &mut output).unwrap();
    assert_eq!(product.found.info.map(|info| info.alpha), Some(true));
    let preview = product.found.placeholder.unwrap();
    assert!(["#ff0000", "#0000ff"].contains(&preview.as_str()), "{preview:?}");
    // What is read for facts alone is the whole document, and is declared.
    let long = samples::svg(20, 10, &"<g/>".repeat(20_000));
    let declared = inspect(&long, &facts.unwrap(), &Limits::default()).unwrap();
    assert!(declared.memory_bytes > 20_000 * 1024, "{declared:?}");
}

#[test]
fn transparency_and_text_are_drawn() {
    let svg = samples::svg(
        40,
        40,
        r##"<circle cx="20" cy="20" r="10" fill="#f00" fill-opacity=".5"/>"##,
    );
    let picture = read_back(&converted(&svg, &recipe([one(Target::Png)])));
    assert_eq!(pixel(&picture, 0, 0), [0, 0, 0, 0]);
    let [r, g, b, alpha] = pixel(&picture, 20, 20).try_into().unwrap();
    let seen: [u8; 4] = [r, g, b, alpha];
    assert!(r > 250 && g < 5 && b < 5 && alpha.abs_diff(128) < 3, "{seen:?}");

    let text = |family: &str| {
        let body = format!(r#"<text x="2" y="30" font-size="30" font-family="{family}">WÄЖ</text>"#);
        read_back(&converted(&samples::svg(90, 40, &body), &recipe([one(Target::Png)]))).bytes
    };
    let plain = text("sans-serif");
    let inked = plain.chunks(4).filter(|pixel| pixel[3] > 200).count();
    assert!((300..1500).contains(&inked), "{inked} pixels of text");
    assert_eq!(plain, text("No Such Font, monospace"));
}

#[test]
fn nothing_is_fetched_and_nothing_runs() {
    let outside = r##"<rect width="9" height="9" fill="#0f0"/><script>1</script>
        <image width="9" height="9" href="/etc/hostname"/><image width="9" height="9" xlink:href="http://127.0.0.1/x.png"/>
        <use href="other.svg#a"/><style>@import url("http://127.0.0.1/x.css");</style>"##;
    let picture = read_back(&converted(&samples::svg(9, 9, outside), &recipe([one(Target::Png)])));
    assert_eq!(pixel(&picture, 4, 4), [0, 255, 0]);
    for href in ["href", "xlink:href"] {
        let embedded = format!(r#"<image width="9" height="9" {href}=" data:image/png;base64,AAAA"/>"#);
        let refusal = refusal(&samples::svg(9, 9, &embedded), &Limits::default());
        assert_eq!(refusal.reason, Reason::UnsupportedFormat, "{refusal}");
    }
}

/// `svg` passes with `just`, and is refused for `limit` with one less.
fn both_sides(svg: &[u8], limit: &str, seen: u64, set: impl Fn(&mut Limits, u64)) {
    let mut limits = Limits::default();
    set(&mut limits, seen);
    inspect(svg, &recipe([one(Target::Png)]), &limits).unwrap();
    set(&mut limits, seen - 1);
    let exceeded = refusal(svg, &limits).exceeded.unwrap();
    assert_eq!((exceeded.limit.as_str(), exceeded.seen), (limit, seen));
}

#[test]
fn bytes_elements_and_nesting_are_limited() {
    let set_elements = |limits: &mut Limits, value| limits.elements = value;
    let set_nesting = |limits: &mut Limits, value| limits.nesting = value;
    let plain = samples::svg(9, 9, &"<g/>".repeat(100));
    let length = plain.len() as u64;
    both_sides(&plain, "elements", 101, set_elements);
    both_sides(&plain, "svg", length, |limits, value| limits.svg = ByteSize(value));
    both_sides(&samples::svgz(&plain), "svg", length, |limits, value| {
        limits.svg = ByteSize(value)
    });

    let used = samples::svg(
        9,
        9,
        &format!(
            r##"<g id="a">{}</g>{}"##,
            "<g/>".repeat(9),
            r##"<use href="#a"/>"##.repeat(3)
        ),
    );
    both_sides(&used, "elements", 1 + 10 + 3 * 11, set_elements);

    let nested = samples::svg(9, 9, &format!("{}{}", "<g>".repeat(20), "</g>".repeat(20)));
    both_sides(&nested, "nesting", 21, set_nesting);
    // A mask within a mask within a mask: as deep for the renderer as groups.
    let masks: String = (0..20)
        .map(|index| {
            format!(
                r##"<mask id="m{index}"><rect style="mask: url( '#m{}' )"/></mask>"##,
                index + 1
            )
        })
        .collect();
    let masked = samples::svg(9, 9, &format!(r##"{masks}<rect mask="url(#m0)"/>"##));
    both_sides(&masked, "nesting", 1 + 1 + 20 * 2, set_nesting);
}

#[test]
fn what_is_drawn_for_each_that_refers_to_it_counts_each_time() {
    let set_elements = |limits: &mut Limits, value| limits.elements = value;
    for (kind, attribute) in [("pattern", "fill"), ("mask", "mask"), ("clipPath", "clip-path")] {
        let target = format!(
            r#"<{kind} id="a" width="1" height="1">{}</{kind}>"#,
            "<rect/>".repeat(9)
        );
        let users = format!(r##"<rect {attribute}="url(#a)"/>"##).repeat(3);
        both_sides(
            &samples::svg(9, 9, &format!("{target}{users}")),
            "elements",
            1 + 10 + 3 * 11,
            set_elements,
        );
    }
    // A gradient is not drawn again.
    let gradient =
        r##"<linearGradient id="a"><stop/><stop/></linearGradient><rect fill="url(#a)"/><rect fill="url(#a)"/>"##;
    both_sides(&samples::svg(9, 9, gradient), "elements", 1 + 3 + 2, set_elements);

    let memory = |body: &str| declared(std::str::from_utf8(&samples::svg(9, 9, body)).unwrap()).memory_bytes;
    let path = format!(r#"<path id="a" d="M0 0{}"/>"#, "h1".repeat(5_000));
    let text = format!(r#"<text id="a">{}</text>"#, "a".repeat(5_000));
    for (drawn, each) in [(path, 5_000 * 2 * 8), (text, 5_000 * 1024)] {
        let uses = |count: usize| memory(&format!("{drawn}{}", r##"<use href="#a"/>"##.repeat(count)));
        assert!(uses(20) >= uses(10) + 10 * each, "{} and {}", uses(10), uses(20));
    }
    let marked = |circles: usize| {
        let marker = format!(r#"<marker id="m">{}</marker>"#, r#"<circle r="1"/>"#.repeat(circles));
        memory(&format!(
            r#"{marker}<path d="M0 0{}" marker-mid="url(#m)"/>"#,
            "h1".repeat(1_000)
        ))
    };
    assert!(marked(50) > 20 * marked(1), "{} and {}", marked(1), marked(50));
}

#[test]
fn a_text_is_limited() {
    let text = |length: usize| samples::svg(9, 9, &format!("<text>{}</text>", "a".repeat(length)));
    inspect(&text(20_000), &recipe([one(Target::Png)]), &Limits::default()).unwrap();
    let exceeded = refusal(&text(20_001), &Limits::default()).exceeded.unwrap();
    assert_eq!(exceeded.limit, "characters");
}

#[test]
fn laughs_and_circles_end() {
    // Ten times ten times ten … by `use`.
    let mut laughs = String::from(r#"<g id="l0"><rect/></g>"#);
    for level in 1..12 {
        let uses = format!(r##"<use href="#l{}"/>"##, level - 1).repeat(10);
        laughs.push_str(&format!(r#"<g id="l{level}">{uses}</g>"#));
    }
    let refused = refusal(&samples::svg(9, 9, &laughs), &Limits::default());
    assert_eq!(refused.exceeded.unwrap().limit, "elements");

    // The same by entities.
    let entities: String = (1..9)
        .map(|level| format!(r#"<!ENTITY e{level} "{}">"#, format!("&e{};", level - 1).repeat(10)))
        .collect();
    let document = |entities: &str, body: &str| {
        format!(r#"<!DOCTYPE svg [<!ENTITY e0 "ha">{entities}]><svg xmlns="http://www.w3.org/2000/svg">{body}</svg>"#)
            .into_bytes()
    };
    let refused = refusal(&document(&entities, "<text>&e8;</text>"), &Limits::default());
    assert_eq!(refused.reason, Reason::TooComplex, "{refused}");
    // One that is long, often.
    let long = format!(r#"<!ENTITY long "{}">"#, "ha".repeat(50_000));
    let refused = refusal(&document(&long, &"<text>&long;</text>".repeat(100)), &Limits::default());
    assert_eq!(refused.exceeded.unwrap().limit, "svg");
    let honest = document(
        r#"<!ENTITY space "http://www.w3.org/2000/svg">"#,
        r#"<svg xmlns="&space;"><text>&amp;&e0;</text></svg>"#,
    );
    assert_eq!(outcome(&honest, &recipe([one(Target::Png)])).unwrap().0[0].width, 300);

    for circle in [
        r##"<g id="a"><use href="#a"/></g>"##,
        r##"<use id="a" href="#b"/><use id="b" href="#a"/>"##,
        r##"<mask id="a"><rect mask="url(#a)" width="9" height="9"/></mask><rect mask="url(#a)" width="9" height="9"/>"##,
        r##"<pattern id="a" width="1" height="1"><rect fill="url(#a)" width="9" height="9"/></pattern><rect fill="url(#a)" width="9" height="9"/>"##,
    ] {
        let made = outcome(&samples::svg(9, 9, circle), &recipe([one(Target::Png)]))
            .unwrap()
            .0;
        assert_eq!(made[0].width, 9, "{circle}");
    }
}

#[test]
fn the_deepest_nesting_that_is_allowed_is_drawn() {
    let deepest = Limits {
        nesting: 128,
        ..Limits::default()
    };
    let (open, close) = (
        r##"<g transform="scale(1)" style="isolation:isolate">"##.repeat(7),
        "</g>".repeat(7),
    );
    let plain = format!(
        r#"{}<rect width="9" height="9"/>{}"#,
        "<g>".repeat(119),
        "</g>".repeat(119)
    );
    let svg = samples::svg(9, 9, &format!("{open}{plain}{close}"));
    let mut output = Vec::new();
    convert(&svg, &recipe([one(Target::Png)]), &deepest, &mut |_| {}, &mut output).unwrap();
    let picture = read_back(&output);
    assert_eq!(pixel(&picture, 4, 4)[..3], [0, 0, 0]);
}

#[test]
fn more_layers_than_are_granted_are_refused() {
    let nested = |count: usize| {
        let body = format!(
            r#"{}<rect width="90" height="90"/>{}"#,
            r#"<g opacity=".9">"#.repeat(count),
            "</g>".repeat(count)
        );
        outcome(&samples::svg(90, 90, &body), &recipe([one(Target::Png)]))
    };
    assert!(nested(5).is_ok());
    let Err(Failure::Refused(refusal)) = nested(40) else {
        panic!("40 layers over each other are too many");
    };
    assert_eq!(refusal.exceeded.unwrap().limit, "layers");
}

#[test]
fn what_is_no_svg_is_refused() {
    let limits = Limits::default();
    for (upload, reason) in [
        (samples::svgz(b"hello"), Reason::UnsupportedFormat),
        (
            samples::svgz(&samples::svgz(&samples::svg(9, 9, ""))),
            Reason::UnsupportedFormat,
        ),
        (b"<!DOCTYPE svg><html><svg/></html>".to_vec(), Reason::UnsupportedFormat),
        (br#"<svg xmlns="urn:other"/>"#.to_vec(), Reason::UnsupportedFormat),
        (b"<svg><g></svg>".to_vec(), Reason::Corrupt),
        (b"<svg>\xff</svg>".to_vec(), Reason::Corrupt),
    ] {
        assert_eq!(
            refusal(&upload, &limits).reason,
            reason,
            "{}",
            String::from_utf8_lossy(&upload)
        );
    }
}
