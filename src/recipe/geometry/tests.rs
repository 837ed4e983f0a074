//! Where pixels come from and go to, by example and by law.

use proptest::prelude::*;
use serde_json::json;

use super::*;

fn boxed(width: u32, height: u32, fit: Fit) -> Rendition {
    Rendition {
        width: Some(width),
        height: Some(height),
        fit,
        ..Rendition::named("test")
    }
}

fn crop(value: serde_json::Value) -> Result<Crop, String> {
    serde_json::from_value(value).map_err(|error| error.to_string())
}

#[test]
fn inside_keeps_proportions_and_never_enlarges() {
    assert_eq!(boxed(100, 100, Fit::Inside).geometry(400, 200).canvas, (100, 50));
    assert_eq!(boxed(900, 900, Fit::Inside).geometry(400, 200).canvas, (400, 200));
    let enlarging = Rendition {
        enlarge: true,
        ..boxed(800, 800, Fit::Inside)
    };
    assert_eq!(enlarging.geometry(400, 200).canvas, (800, 400));
}

#[test]
fn cover_cuts_evenly_unless_told_otherwise() {
    let geometry = boxed(100, 100, Fit::Cover).geometry(400, 200);
    assert_eq!(geometry.crop, (100, 0, 200, 200));
    assert_eq!(geometry.canvas, (100, 100));
    for (gravity, wide, tall) in [
        (Gravity::Centre, (100, 0), (0, 100)),
        (Gravity::North, (100, 0), (0, 0)),
        (Gravity::NorthEast, (200, 0), (0, 0)),
        (Gravity::East, (200, 0), (0, 100)),
        (Gravity::SouthEast, (200, 0), (0, 200)),
        (Gravity::South, (100, 0), (0, 200)),
        (Gravity::SouthWest, (0, 0), (0, 200)),
        (Gravity::West, (0, 0), (0, 100)),
        (Gravity::NorthWest, (0, 0), (0, 0)),
        (Gravity::Attention, (100, 0), (0, 100)),
    ] {
        let cover = Rendition {
            gravity,
            ..boxed(100, 100, Fit::Cover)
        };
        let place = |width, height| {
            let (x, y, ..) = cover.geometry(width, height).crop;
            (x, y)
        };
        assert_eq!((place(400, 200), place(200, 400)), (wide, tall), "{gravity:?}");
    }
}

#[test]
fn contain_is_exactly_the_box() {
    let contain = boxed(100, 100, Fit::Contain);
    let geometry = contain.geometry(400, 200);
    assert_eq!(
        (geometry.resized, geometry.canvas, geometry.offset),
        ((100, 50), (100, 100), (0, 25))
    );
    let south = Rendition {
        gravity: Gravity::South,
        ..contain
    };
    assert_eq!(south.geometry(400, 200).offset, (0, 50));
}

#[test]
fn a_quarter_turn_comes_before_the_box() {
    let turned = Rendition {
        rotate: Rotate::Right,
        ..boxed(100, 100, Fit::Inside)
    };
    assert_eq!(turned.geometry(400, 200).canvas, (50, 100));
    let original = Rendition {
        rotate: Rotate::Left,
        ..Rendition::named("original")
    };
    assert_eq!(original.geometry(400, 200).canvas, (200, 400));
}

#[test]
fn a_crop_is_cut_from_the_turned_picture_and_then_fitted() {
    let part = crop(json!({ "x": 20, "y": "25%", "width": 100, "height": "50%" })).unwrap();
    let rendition = Rendition {
        crop: Some(part),
        ..Rendition::named("part")
    };
    let geometry = rendition.geometry(400, 200);
    assert_eq!((geometry.crop, geometry.canvas), ((20, 50, 100, 100), (100, 100)));
    let turned = Rendition {
        rotate: Rotate::Right,
        ..rendition.clone()
    };
    assert_eq!(turned.geometry(400, 200).crop, (20, 100, 100, 200));
    let square = Rendition {
        crop: rendition.crop,
        ..boxed(50, 25, Fit::Cover)
    };
    assert_eq!(square.geometry(400, 200).crop, (20, 75, 100, 50));
}

#[test]
fn a_crop_ends_at_the_edges_and_does_not_begin_beyond_them() {
    let rendition = |value| Rendition {
        crop: Some(crop(value).unwrap()),
        ..Rendition::named("part")
    };
    let wide = rendition(json!({ "x": 300, "width": 200, "height": 4_000_000_000_u32 }));
    assert_eq!(
        (wide.geometry(400, 200).crop, wide.misfit(400, 200)),
        ((300, 0, 100, 200), None)
    );
    let outside = rendition(json!({ "x": 400, "width": 1, "height": 1 }));
    let problem = outside.misfit(400, 200).unwrap();
    assert_eq!(problem, "crop begins outside the picture of 400 × 200 px");
    assert_eq!(outside.misfit(401, 1), None);
}

#[test]
fn lengths_are_pixels_or_percent() {
    for (text, share) in [
        ("0%", 0),
        ("12.5%", 1250),
        ("33.33%", 3333),
        ("0.05%", 5),
        ("100%", 10_000),
    ] {
        let length: Length = serde_json::from_value(json!(text)).unwrap();
        assert_eq!((length, json!(length)), (Length::Share(share), json!(text)));
    }
    for wrong in [
        json!("100.01%"),
        json!("5"),
        json!("%"),
        json!("-1%"),
        json!("1.234%"),
        json!("1e1%"),
        json!(-1),
        json!(1.5),
    ] {
        assert!(serde_json::from_value::<Length>(wrong.clone()).is_err(), "{wrong}");
    }
    assert!(
        crop(json!({ "x": 1, "width": 1, "height": 1, "unit": "px" }))
            .unwrap_err()
            .contains("`unit`")
    );
    assert!(crop(json!({ "width": 1 })).unwrap_err().contains("`height`"));
}

#[test]
fn turns_are_written_in_degrees() {
    for degrees in [0_u16, 90, 180, 270] {
        let rotate: Rotate = serde_json::from_value(json!(degrees)).unwrap();
        assert_eq!(json!(rotate), json!(degrees));
    }
    let error = serde_json::from_value::<Rotate>(json!(45)).unwrap_err().to_string();
    assert!(error.contains("45 is not 0, 90, 180 or 270"), "{error}");
}

fn gravities() -> impl Strategy<Value = Gravity> {
    use Gravity::*;
    proptest::sample::select(vec![
        Centre, North, NorthEast, East, SouthEast, South, SouthWest, West, NorthWest, Attention,
    ])
}

fn lengths() -> impl Strategy<Value = Length> {
    prop_oneof![
        (0u32..100_000).prop_map(Length::Pixels),
        (0u32..=10_000).prop_map(Length::Share),
        Just(Length::Pixels(u32::MAX))
    ]
}

fn crops() -> impl Strategy<Value = Option<Crop>> {
    let crop = (lengths(), lengths(), lengths(), lengths());
    proptest::option::of(crop.prop_map(|(x, y, width, height)| Crop { x, y, width, height }))
}

prop_compose! {
    fn renditions()(
        edges in (1u32..=MAX_EDGE, 1u32..=MAX_EDGE),
        fit in proptest::sample::select(vec![Fit::Inside, Fit::Cover, Fit::Contain, Fit::Fill]),
        rotate in proptest::sample::select(vec![Rotate::Not, Rotate::Right, Rotate::Around, Rotate::Left]),
        gravity in gravities(), crop in crops(), enlarge: bool,
    ) -> Rendition {
        Rendition { enlarge, rotate, gravity, crop, ..boxed(edges.0, edges.1, fit) }
    }
}

proptest! {
    #[test]
    fn geometry_stays_within_source_and_box(
        rendition in renditions(), width in 1u32..70_000, height in 1u32..70_000,
        anchor in (0..=Anchor::ONE, 0..=Anchor::ONE),
    ) {
        let (turned_width, turned_height) = rendition.turned(width, height);
        let anchor = Anchor { x: anchor.0, y: anchor.1 };
        let (box_width, box_height) = (rendition.width.unwrap(), rendition.height.unwrap());
        let geometry = rendition.geometry_toward(width, height, anchor);
        let Geometry { crop: (x, y, w, h), resized, canvas, offset } = geometry;
        prop_assert!(w >= 1 && h >= 1 && x + w <= turned_width && y + h <= turned_height);
        prop_assert!(resized.0 >= 1 && resized.1 >= 1);
        prop_assert!(canvas.0 <= box_width && canvas.1 <= box_height);
        prop_assert!(offset.0 + resized.0 <= canvas.0 && offset.1 + resized.1 <= canvas.1);
        if !rendition.enlarge && rendition.fit != Fit::Contain {
            prop_assert!(canvas.0 <= turned_width && canvas.1 <= turned_height);
        }
        if rendition.fit == Fit::Contain {
            prop_assert_eq!(canvas, (box_width, box_height));
        }
        if let Some(part) = rendition.crop.and_then(|crop| crop.of(turned_width, turned_height)) {
            prop_assert!(x >= part.0 && y >= part.1 && x + w <= part.0 + part.2 && y + h <= part.1 + part.3);
        }
    }

    #[test]
    fn an_anchor_moves_and_never_resizes(
        rendition in renditions(), width in 1u32..70_000, height in 1u32..70_000, x in 0..=Anchor::ONE, y in 0..=Anchor::ONE,
    ) {
        let (here, there) = (rendition.geometry(width, height), rendition.geometry_toward(width, height, Anchor { x, y }));
        prop_assert_eq!((here.crop_size(), here.resized, here.canvas), (there.crop_size(), there.resized, there.canvas));
    }

    #[test]
    fn a_crop_of_everything_changes_nothing(rendition in renditions(), width in 1u32..70_000, height in 1u32..70_000) {
        let whole = Length::Share(Length::WHOLE);
        let all = Crop { x: Length::Pixels(0), y: Length::Share(0), width: whole, height: whole };
        let (with, without) = (Rendition { crop: Some(all), ..rendition.clone() }, Rendition { crop: None, ..rendition });
        prop_assert_eq!(with.geometry(width, height), without.geometry(width, height));
    }

    #[test]
    fn half_a_turn_changes_no_size(rendition in renditions(), width in 1u32..70_000, height in 1u32..70_000) {
        let around = match rendition.rotate {
            Rotate::Not => Rotate::Around,
            Rotate::Right => Rotate::Left,
            Rotate::Around => Rotate::Not,
            Rotate::Left => Rotate::Right,
        };
        let other = Rendition { rotate: around, ..rendition.clone() };
        prop_assert_eq!(rendition.geometry(width, height), other.geometry(width, height));
    }

    #[test]
    fn lengths_survive_the_wire(length in lengths()) {
        let wire = serde_json::to_string(&length).unwrap();
        prop_assert_eq!(serde_json::from_str::<Length>(&wire).unwrap(), length);
    }
}
