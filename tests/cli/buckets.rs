//! Stores in buckets, on a real S3-compatible server: on its good days, on bad ones, and when it is gone.

#[path = "../servers/s3.rs"]
#[allow(dead_code, reason = "the server serves several suites")]
mod s3;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use self::s3::{ACCOUNT, BUCKET, S3};
use super::asked::*;
use super::world::*;

/// More than one part of an upload to a bucket has.
const LARGE: (u32, u32) = (2000, 1600);

/// A world whose three stores are in one bucket.
struct Coast {
    world: World,
    s3: S3,
}

impl Coast {
    fn new() -> Self {
        let world = World::new();
        let s3 = S3::start(&world.path("s3"));
        let stores = ["uploads", "renditions", "specimens"].map(|name| format!("{name} = {}\n", s3.store(name)));
        let config = format!(
            "broker = \"spool:./spool\"\nledger = \"sqlite:./state/ledger.sqlite\"\n[stores]\n{}[buckets]\npatience = \"8s\"\npresign = \"10m\"\n",
            stores.concat()
        );
        world.write("lazaret.toml", config);
        Self { world, s3 }
    }

    fn serve(&self, more: &[(&str, &str)]) -> Running {
        self.world.serve(&[&ACCOUNT[..], more].concat())
    }

    fn run(&self, arguments: &[&str], account: &[(&str, &str)]) -> Output {
        let mut command = self.world.command(arguments);
        let command = command.env_remove("LAZARET_STATE").envs(account.iter().copied());
        command.output().unwrap()
    }

    /// Submits files and waits for what is told of each.
    fn told(&self, files: &[PathBuf]) -> Vec<Value> {
        let config = self.world.config();
        let mut arguments = vec!["submit", "--config", config.to_str().unwrap(), "--wait", "--json"];
        arguments.extend(files.iter().map(|file| file.to_str().unwrap()));
        let output = self.run(&arguments, &ACCOUNT);
        let mut told = lines(&output);
        assert_eq!(told.len(), files.len(), "{}", stderr(&output));
        told.sort_by_key(|told| files.iter().position(|file| told["path"] == json!(file)));
        told
    }

    /// Where the server keeps what is below a prefix.
    fn kept(&self, prefix: &str) -> PathBuf {
        self.world.path("s3").join(BUCKET).join(prefix)
    }

    /// What the service said last.
    fn log(&self) -> String {
        let folder = fs::read_dir(self.world.path("")).unwrap();
        let paths = folder.map(|entry| entry.unwrap().path());
        let logs = paths.filter(|path| path.extension().is_some_and(|extension| extension == "log"));
        logs.map(|log| fs::read_to_string(log).unwrap()).collect()
    }
}

/// A picture of one colour.
fn bmp(width: u32, height: u32, colour: u8) -> Vec<u8> {
    let row = (width * 3).next_multiple_of(4);
    let mut bytes = b"BM".to_vec();
    for number in [
        54 + row * height,
        0,
        54,
        40,
        width,
        height,
        1 | (24 << 16),
        0,
        row * height,
        2835,
        2835,
        0,
        0,
    ] {
        bytes.extend(number.to_le_bytes());
    }
    bytes.resize((54 + row * height) as usize, colour);
    bytes
}

/// What anybody gets under an address.
fn get(url: &str) -> Result<(Vec<u8>, String), u16> {
    match ureq::get(url).call() {
        Ok(answer) => {
            let kind = answer.headers()["content-type"].to_str().unwrap().to_owned();
            Ok((answer.into_body().read_to_vec().unwrap(), kind))
        }
        Err(ureq::Error::StatusCode(status)) => Err(status),
        Err(error) => panic!("{url}: {error}"),
    }
}

fn objects(folder: &Path) -> usize {
    let Ok(entries) = fs::read_dir(folder) else { return 0 };
    let below = |path: PathBuf| match path.is_dir() {
        true => objects(&path),
        false => usize::from(path.to_str().unwrap().ends_with("_object")),
    };
    entries.map(|entry| below(entry.unwrap().path())).sum()
}

#[test]
fn uploads_renditions_and_specimens_go_through_a_bucket() {
    let coast = Coast::new();
    let service = coast.serve(&[]);
    let files = [
        coast.world.write("panorama.bmp", bmp(LARGE.0, LARGE.1, 90)),
        coast.world.write("small.bmp", bmp(40, 30, 7)),
        PathBuf::from(fixture("hostile/cpu/tiff_wide_tiles.tiff")),
        coast.world.write("empty", ""),
    ];
    let told = coast.told(&files);
    let status = |told: &[Value]| told.iter().map(|told| told["status"].clone()).collect::<Vec<_>>();
    assert_eq!(
        status(&told),
        ["converted", "converted", "quarantined", "rejected"],
        "{told:#?}"
    );
    assert_eq!(objects(&coast.kept("uploads")), 4);
    assert_eq!(objects(&coast.kept("specimens")), 1);

    // Each rendition is what the result says of it, and whoever was given its address has it, for a while: that is signed.
    let renditions = told[0]["renditions"].as_array().unwrap();
    assert_eq!(renditions.len(), 2);
    for rendition in renditions {
        let url = rendition["url"].as_str().unwrap();
        let (bytes, kind) = get(url).unwrap();
        let digest = Sha256::digest(&bytes);
        let digest: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(rendition["sha256"], digest);
        assert_eq!(kind, format!("image/{}", rendition["format"].as_str().unwrap()));
        assert!(
            url.contains("&X-Amz-Expires=600&") && url.contains("&X-Amz-Signature="),
            "{url}"
        );
    }

    // Known, without an attempt; made again where what was made is gone.
    let again = coast.told(&files);
    assert!(again[..3].iter().all(|told| told["repeat"] == true), "{again:#?}");
    assert_eq!(again[0]["renditions"][0]["sha256"], renditions[0]["sha256"]);
    fs::remove_dir_all(coast.kept("renditions")).unwrap();
    let made = coast.told(&files[..1]);
    assert_eq!(
        (&made[0]["status"], &made[0]["repeat"]),
        (&json!("converted"), &json!(false))
    );
    assert_eq!(objects(&coast.kept("renditions")), 2);

    let staging = coast.world.path("state/staging");
    assert_eq!(fs::read_dir(staging).unwrap().count(), 0, "files have no names there");
    service.signal("-TERM");
    assert_eq!(service.code(), Some(0));
}

#[test]
fn a_bucket_on_its_bad_days_holds_up_jobs_and_harms_none() {
    let coast = Coast::new();
    let _service = coast.serve(&[]);
    let days = [
        "busy",
        "expired",
        "elsewhere",
        "silent",
        "slow",
        "cut",
        "mended",
        "large",
    ];
    let files: Vec<PathBuf> = (1..)
        .zip(days)
        .map(|(colour, day)| coast.world.write(&format!("{day}.bmp"), bmp(64, 48, colour)))
        .collect();
    let told = coast.told(&files);
    for (day, told) in days.iter().zip(&told) {
        let expected = match *day {
            "large" => (json!("rejected"), json!("too-large")),
            _ => (json!("converted"), Value::Null),
        };
        assert_eq!(
            (told["status"].clone(), told["reason"].clone()),
            expected,
            "{day}: {told:#}"
        );
    }
    let log = coast.log();
    for why in [
        "busy.bmp: 503 Service Unavailable (SlowDown: a bad day)",
        "expired.bmp: 403 Forbidden (ExpiredToken: a bad day)",
        "elsewhere.bmp: 404 Not Found (NoSuchBucket: a bad day)",
        "silent.bmp: no answer within 8s (buckets.patience)",
        "163840 are the least (buckets.slowest)",
    ] {
        assert!(log.contains(why), "{why}: {log}");
    }
    // The client asked for the rest by itself.
    assert!(!log.contains("mended.bmp"), "{log}");
    assert!(log.contains("cut.bmp"), "{log}");
    assert!(!log.contains("the-session-token"), "{log}");
    let config = coast.world.config();
    let listed = coast.run(
        &["quarantine", "list", "--json", "--config", config.to_str().unwrap()],
        &[],
    );
    assert_eq!(lines(&listed), Vec::<Value>::new(), "nothing is held against anybody");
}

#[test]
fn what_is_wrong_with_a_bucket_is_said_before_and_while_it_is_needed() {
    let mut coast = Coast::new();
    let config = coast.world.config();
    let check = |coast: &Coast, account: &[(&str, &str)]| {
        let output = coast.run(&["check", config.to_str().unwrap()], account);
        (output.status.code(), stderr(&output))
    };
    assert_eq!(check(&coast, &ACCOUNT).0, Some(0));
    assert_eq!(objects(&coast.world.path("s3")), 0, "looking writes nothing");
    // Its signatures are believed: a server for tests looks at the name alone.
    let stranger = [
        ("AWS_ACCESS_KEY_ID", "NOBODY"),
        ("AWS_SECRET_ACCESS_KEY", "not-the-secret"),
    ];
    let (code, said) = check(&coast, &stranger);
    assert_eq!(code, Some(1));
    assert!(
        said.contains("stores.renditions: s3://pictures/renditions") && said.contains("InvalidAccessKeyId"),
        "{said}"
    );
    assert!(!said.contains("not-the-secret"), "{said}");

    let asked = Asked::free();
    let (name, value) = asked.setting();
    let _service = coast.serve(&[(name, &value)]);
    wait_for("work to be taken", || asked.get("/readyz").status == 200);
    let mut job = json!({ "job": "lost", "tenant": "acme", "source": { "store": "uploads", "key": "no/such.jpg" }, "preset": "web" });
    let send = |coast: &Coast, job: &Value| {
        let id = job["job"].as_str().unwrap();
        coast
            .world
            .write(&format!("spool/new/1-0000000000001-{id}"), job.to_string());
        let result = coast.world.path(&format!("spool/results/{id}.json"));
        wait_for("the result", || result.exists());
        serde_json::from_str::<Value>(&fs::read_to_string(result).unwrap()).unwrap()["data"].clone()
    };
    let told = send(&coast, &job);
    assert_eq!(told["reason"], "source-missing", "{told:#}");
    job["job"] = json!("outside");
    job["source"]["key"] = json!("../renditions/x");
    assert_eq!(send(&coast, &job)["reason"], "invalid-job");

    coast.s3.stop();
    wait_for("the bucket to be missed", || asked.get("/readyz").status == 503);
    let ready = asked.get("/readyz").json();
    assert_eq!(ready["reasons"][0]["cause"], "store", "{ready:#}");
    assert!(
        ready["reasons"][0]["why"]
            .as_str()
            .unwrap()
            .starts_with("s3://pictures/renditions"),
        "{ready:#}"
    );
    let (code, said) = check(&coast, &ACCOUNT);
    assert!(code == Some(1) && said.contains("refused"), "{said}");
}

#[test]
fn a_bucket_that_is_not_spoken_to_safely_is_refused() {
    let world = World::new();
    for (store, part) in [
        (
            r#"{ at = "s3://pictures", endpoint = "http://192.0.2.1" }"#,
            "http = \"allowed\"",
        ),
        (
            r#"{ at = "s3://pictures", endpont = "https://192.0.2.1" }"#,
            "did you mean `endpoint`?",
        ),
        (r#""s3://pictures/renditions""#, "lie in one another"),
    ] {
        let rest = "renditions = \"s3://pictures/renditions\"\n";
        let file = world.write("wrong.toml", format!("[stores]\nuploads = {store}\n{rest}"));
        let output = world.run(&["check", file.to_str().unwrap()]);
        let said = stderr(&output);
        assert!(output.status.code() == Some(78) && said.contains(part), "{said}");
    }
}
