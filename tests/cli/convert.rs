//! `lazaret convert`.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use serde_json::{Value, json};

use super::world::*;

#[test]
fn a_photo_is_converted_and_known_the_second_time() {
    let world = World::new();
    let photo = fixture("valid/photos/coffee_orientation_6.jpg");
    let first = world.run(&["convert", "--json", &photo]);
    assert_eq!(first.status.code(), Some(0), "{}", stderr(&first));
    let first = &lines(&first)[0];
    assert_eq!(
        (&first["status"], &first["repeat"]),
        (&json!("converted"), &json!(false))
    );
    assert_eq!(
        (&first["width"], &first["height"], &first["format"]),
        (&json!(600), &json!(400), &json!("jpeg"))
    );
    assert!(first["cpu_ms"].is_u64() && first["peak_memory_bytes"].as_u64().unwrap() > 1 << 20);
    for made in first["renditions"].as_array().unwrap() {
        let bytes = fs::metadata(made["path"].as_str().unwrap()).unwrap().len();
        assert_eq!(json!(bytes), made["bytes"]);
        assert!(made.get("key").is_none());
    }

    let second = &world.json(&["convert", "--json", &photo])[0];
    assert_eq!(
        (&second["status"], &second["repeat"]),
        (&json!("converted"), &json!(true))
    );
    assert_eq!(second["renditions"], first["renditions"]);
    assert_eq!(second["cpu_ms"], Value::Null);
}

#[test]
fn what_is_told_without_a_rendition_is_told_again() {
    let world = World::new();
    let photo = fixture("valid/photos/coffee_orientation_6.jpg");
    let arguments = ["convert", "--json", "--info", "--placeholder", "blurhash", &photo];
    let first = world.json(&arguments).remove(0);
    assert_eq!(
        (&first["status"], &first["repeat"]),
        (&json!("converted"), &json!(false))
    );
    assert_eq!((&first["renditions"], &first["width"]), (&json!([]), &json!(600)));
    assert_eq!(
        (&first["info"]["alpha"], &first["info"]["colour"]),
        (&json!(false), &json!("rgb"))
    );
    assert_eq!(first["placeholder"].as_str().unwrap().len(), 28);

    let second = world.json(&arguments).remove(0);
    assert_eq!(second["repeat"], json!(true));
    assert_eq!(
        (&second["info"], &second["placeholder"]),
        (&first["info"], &first["placeholder"])
    );
    // Renditions of the same upload are another recipe, and tell nothing that was not asked for.
    let plain = world.json(&["convert", "--json", &photo]).remove(0);
    assert_eq!((&plain["repeat"], &plain["info"]), (&json!(false), &Value::Null));
}

#[test]
fn a_crop_outside_the_picture_is_the_jobs_fault() {
    let world = World::new();
    let photo = fixture("valid/photos/rocket.bmp");
    let rendition = "name=a,crop.x=100000,crop.width=1,crop.height=1";
    let refused = world.run(&["convert", "--json", "--rendition", rendition, &photo]);
    assert_eq!(refused.status.code(), Some(1));
    let refused = &lines(&refused)[0];
    assert_eq!(
        (&refused["status"], &refused["reason"]),
        (&json!("rejected"), &json!("invalid-job"))
    );
    assert!(
        refused["detail"].as_str().unwrap().contains("renditions[0].crop"),
        "{refused}"
    );
}

#[test]
fn the_quality_that_was_found_is_told() {
    let world = World::new();
    let photo = fixture("valid/photos/astronaut_baseline.jpg");
    let renditions = [
        "name=fit,format=webp,width=400,max_bytes=9000",
        "name=auto,format=jpeg,width=400,quality=auto,sharpen=0.5",
        "name=soft,format=jpeg,width=200,height=100,fit=cover,gravity=attention,blur=8",
        "name=png,format=png,width=40,rotate=90",
    ];
    let wishes = renditions.iter().flat_map(|rendition| ["--rendition", rendition]);
    let arguments: Vec<&str> = ["convert", "--json"]
        .into_iter()
        .chain(wishes)
        .chain([photo.as_str()])
        .collect();
    let report = world.json(&arguments).remove(0);
    let made = report["renditions"].as_array().unwrap();
    assert!(made[0]["bytes"].as_u64().unwrap() <= 9000, "{made:?}");
    assert!((10..80).contains(&made[0]["quality"].as_u64().unwrap()), "{made:?}");
    assert!((40..=95).contains(&made[1]["quality"].as_u64().unwrap()), "{made:?}");
    assert_eq!((&made[2]["quality"], &made[2]["height"]), (&json!(80), &json!(100)));
    assert_eq!((&made[3]["quality"], &made[3]["height"]), (&Value::Null, &json!(40)));
}

#[test]
fn renditions_that_are_gone_are_made_again() {
    let world = World::new();
    let photo = fixture("valid/photos/rocket.bmp");
    let first = world.json(&["convert", "--json", &photo]).remove(0);
    fs::remove_file(first["renditions"][0]["path"].as_str().unwrap()).unwrap();
    let again = world.json(&["convert", "--json", &photo]).remove(0);
    assert_eq!(
        (&again["status"], &again["repeat"]),
        (&json!("converted"), &json!(false))
    );
}

#[test]
fn a_bomb_is_quarantined_once_and_its_bytes_are_private() {
    let world = World::new();
    let bomb = fixture("hostile/cpu/tiff_wide_tiles.tiff");
    let first = world.run(&["convert", "--json", &bomb]);
    assert_eq!(first.status.code(), Some(1));
    let first = &lines(&first)[0];
    assert_eq!(
        (&first["status"], &first["reason"]),
        (&json!("quarantined"), &json!("cpu"))
    );
    let second = &world.json(&["convert", "--json", &bomb])[0];
    assert_eq!((&second["reason"], &second["repeat"]), (&json!("cpu"), &json!(true)));

    let digest = first["sha256"].as_str().unwrap();
    let dossier = world.dossier(digest);
    assert_eq!(dossier["attempts"].as_array().unwrap().len(), 1);
    let specimen = world.path("state/specimens").join(&digest[..2]).join(digest);
    assert_eq!(fs::read(&specimen).unwrap(), fs::read(&bomb).unwrap());
    assert_eq!(fs::metadata(&specimen).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn what_cannot_be_read_is_named_and_the_others_go_on() {
    let world = World::new();
    let empty = world.write("empty.png", "");
    let text = world.write("text\u{1b}[31m.jpg", "hello");
    let fifo = world.path("fifo");
    assert!(
        std::process::Command::new("mkfifo")
            .arg(&fifo)
            .status()
            .unwrap()
            .success()
    );
    let photo = fixture("valid/photos/rocket.bmp");
    let paths = [
        "/nonexistent.jpg",
        "/tmp",
        empty.to_str().unwrap(),
        text.to_str().unwrap(),
        fifo.to_str().unwrap(),
    ];
    let mut arguments = vec!["convert", "--json"];
    arguments.extend(paths);
    arguments.push(&photo);
    let output = world.run(&arguments);
    assert_eq!(output.status.code(), Some(1));
    let verdicts: Vec<_> = lines(&output).iter().map(|line| line["reason"].clone()).collect();
    let expected = [
        json!("source-missing"),
        json!("source-missing"),
        json!("empty"),
        json!("unsupported-format"),
        json!("source-missing"),
        Value::Null,
    ];
    assert_eq!(verdicts, expected);
    for (line, path) in lines(&output).iter().zip(paths) {
        let missing = line["reason"] == json!("source-missing");
        assert!(!missing || line["detail"].as_str().unwrap().contains(path), "{line}");
    }
    // In a table, a name cannot drive the terminal.
    let table = world.run(&["convert", text.to_str().unwrap()]);
    assert!(!table.stdout.contains(&0x1b));
}

#[test]
fn two_uploads_of_one_name_do_not_overwrite_each_other() {
    let world = World::new();
    let (a, b) = ("a/cat.jpg", "b/cat.jpg");
    world.write(a, fs::read(fixture("valid/photos/camera_grey.jpg")).unwrap());
    world.write(b, fs::read(fixture("valid/photos/rocket.bmp")).unwrap());
    let output = world.run(&[
        "convert",
        "--out",
        "out",
        "--rendition",
        "name=s,format=png,width=20",
        a,
        b,
    ]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert_eq!(world.count("out"), 2);
    assert!(world.path("out/cat-s.png").exists());
}

#[test]
fn wrong_usage_ends_with_2() {
    let world = World::new();
    let photo = fixture("valid/photos/rocket.bmp");
    let cases: [&[&str]; 5] = [
        &["convert"],
        &["convert", "--preset", "nope", &photo],
        &["convert", "--rendition", "name=a,width=0", &photo],
        &["convert", "--rendition", "name=a,size=3", &photo],
        &["convert", "--rendition", "name=a", "--preset", "web", &photo],
    ];
    for arguments in cases {
        let output = world.run(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {}", stderr(&output));
    }
}

#[test]
fn one_bomb_given_to_many_processes_at_once_is_tried_once() {
    let world = World::new();
    let bomb = fixture("hostile/cpu/tiff_wide_tiles.tiff");
    let processes: Vec<_> = (0..20)
        .map(|_| world.start(&["convert", "--json", &bomb], &[]))
        .collect();
    for mut running in processes {
        let mut text = String::new();
        std::io::Read::read_to_string(running.0.stdout.as_mut().unwrap(), &mut text).unwrap();
        let verdict: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(verdict["reason"], json!("cpu"), "{verdict}");
    }
    let entries = world.json(&["quarantine", "list", "--json"]);
    assert_eq!(
        (entries.len(), &entries[0]["strikes"], &entries[0]["repeats"]),
        (1, &json!(1), &json!(19))
    );
}
