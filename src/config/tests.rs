//! Files that are right, files that are wrong, and what is said of them.

use super::*;
use crate::format::Switch;

fn wrong(text: &str) -> String {
    Config::parse(text, "lazaret.toml", Vec::new()).unwrap_err().to_string()
}

fn with(name: &str, value: &str) -> Result<Config, ConfigError> {
    Config::parse("", "lazaret.toml", vec![(name.to_owned(), value.to_owned())])
}

#[test]
fn the_example_is_the_default_and_has_every_key() {
    let example = Config::parse(EXAMPLE, "example.toml", Vec::new()).unwrap();
    assert_eq!(example, Config::default());
    let keys = toml::Table::try_from(Config::default()).unwrap();
    for (section, value) in keys {
        let toml::Value::Table(keys) = value else {
            assert!(EXAMPLE.contains(&format!("\n{section} = ")), "{section}");
            continue;
        };
        assert!(EXAMPLE.contains(&format!("\n[{section}")), "[{section}]");
        if section == "tenants" {
            let toml::Value::Table(limits) = &keys["default"] else {
                panic!("{keys:?}");
            };
            for key in limits.keys() {
                assert!(EXAMPLE.contains(&format!("\n{key} = ")), "[tenants.default] {key}");
            }
            continue;
        }
        for (key, value) in keys.iter().filter(|_| section != "presets") {
            let Some(inner) = value.as_table() else {
                assert!(EXAMPLE.contains(&format!("\n{key} = ")), "[{section}] {key}");
                continue;
            };
            assert!(EXAMPLE.contains(&format!("\n[{section}.{key}]")), "[{section}.{key}]");
            for name in inner.keys() {
                assert!(EXAMPLE.contains(&format!("\n{name} = ")), "[{section}.{key}] {name}");
            }
        }
    }
}

#[test]
fn every_line_of_the_example_says_what_it_is() {
    for line in EXAMPLE
        .lines()
        .filter(|line| line.contains(" = ") && !line.starts_with('#'))
    {
        assert!(line.contains("  # "), "{line}");
    }
}

#[test]
fn an_unknown_key_is_named_with_its_line_and_the_nearest_right_one() {
    assert_eq!(
        wrong("[limits]\nmemroy = \"1 GiB\"\n"),
        "lazaret.toml:2:1: unknown key `memroy`; did you mean `memory`?"
    );
    assert_eq!(
        wrong("\nledgr = \"sqlite:x\"\n"),
        "lazaret.toml:2:1: unknown key `ledgr`; did you mean `ledger`?"
    );
    assert!(wrong("[worker]\nturbo = true\n").contains("known here: slots, renewals, drain"));
}

#[test]
fn wrong_values_are_named() {
    let cases = [
        ("broker = \"redis://u:p@h\"", "spool:DIR"),
        ("broker = \"amqp://u:p@h:x\"", "invalid port number"),
        ("[amqp]\nmanagement = \"ftp://h\"", "lazaret.toml:2:"),
        ("[limits]\ninput = \"many\"", "many"),
        ("[limits]\ncpu = 20", "lazaret.toml:2:"),
        ("[sandbox]\nseccomp = \"maybe\"", "required"),
        ("[presets.web]\nrenditions = []", "at least one"),
        (
            "[presets.web]\nrenditions = [{ name = \"a\", width = 99999 }]",
            "99999 px is not between 1 and 16384",
        ),
        ("[notices]\nurl = \"https://u:p@h/\"", "a user or a password"),
        ("[notices]\non = [\"quarantine\"]", "worker-lost"),
        ("broker = ", "lazaret.toml:1:"),
    ];
    for (text, part) in cases {
        assert!(wrong(text).contains(part), "{part}: {}", wrong(text));
    }
}

#[test]
fn contradictions_are_named() {
    let cases = [
        (
            "[limits]\ncpu = \"1s\"\ncpu_base = \"2s\"",
            "limits.cpu (1s) is less than limits.cpu_base (2s)",
        ),
        ("[limits]\nmemory = \"10 MiB\"", "limits.memory is 10.0 MiB"),
        ("[limits]\npixels = 300000000", "limits.frame_pixels"),
        ("[limits]\nscans = 0", "limits.scans is 0"),
        ("[limits]\nnesting = 129", "limits.nesting is 129, at most 128"),
        ("[limits]\nsvg = \"9 MiB\"", "limits.svg is 9.0 MiB, at most 8.0 MiB"),
        ("[limits]\nelements = 50001", "limits.elements is 50001, at most 50000"),
        (
            "[amqp]\nheartbeat = \"4s\"",
            "amqp.heartbeat is 4s, not between 5s and 10m",
        ),
        (
            "[amqp]\nconfirm_timeout = \"2min\"",
            "amqp.confirm_timeout is 2m, not between 1s and 1m",
        ),
        ("[amqp]\nprefetch = 65536", "amqp.prefetch is 65536, at most 65535"),
        ("[amqp]\nkey = \"k\"", "amqp.key is given without amqp.certificate"),
        (
            "[postgres]\ncertificate = \"c\"",
            "postgres.certificate is given without postgres.key",
        ),
        (
            "[postgres]\nconnections = 1",
            "postgres.connections is 1, not between 2 and 100",
        ),
        (
            "[postgres]\ntimeout = \"61s\"",
            "postgres.timeout is 1m 1s, not between 1s and 1m",
        ),
        (
            "ledger = \"postgres://u:secret@h/l?sslmode=require\"\n[postgres]\nca = \"c\"",
            "postgres.ca is given, but sslmode",
        ),
        (
            "[notices]\nurl = \"http://hooks.example/secret\"",
            "notices.url is http://hooks.example/…, and notices would go there readable",
        ),
        (
            "[notices]\nurl = \"http://127.0.0.1:1/\"\nca = \"c\"",
            "notices.ca is given, but http://127.0.0.1:1 is not encrypted",
        ),
        ("[notices]\nurl = \"https://h/\"\non = []", "notices.on is empty"),
        (
            "[notices]\nsecret_file = \"s\"",
            "notices.secret_file is given without notices.url",
        ),
        (
            "[notices]\ndigest = \"2h\"",
            "notices.digest is 2h, not between 1s and 1h",
        ),
        (
            "[notices]\ntimeout = \"31s\"",
            "notices.timeout is 31s, not between 1s and 30s",
        ),
        (
            "[amqp]\ncertificate = \"c\"",
            "amqp.certificate is given without amqp.key",
        ),
        (
            "broker = \"amqp://u:secret@h\"\n[amqp]\nca = \"c\"",
            "amqp.ca is given, but amqp://u@h:5672/%2F is not encrypted; write amqps://",
        ),
        ("[traces]\nservice = \"\"", "traces.service has 0 characters"),
        ("[traces]\nservice = \"a\\nb\"", "some that do not print"),
        (
            "[traces]\nendpoint = \"otel:4318\"",
            "lazaret.toml:2:12: is no address of a collector",
        ),
        (
            "[traces]\nendpoint = \"https://olga:secret@h\"",
            "OTEL_EXPORTER_OTLP_HEADERS",
        ),
    ];
    for (text, part) in cases {
        assert!(wrong(text).contains(part), "{part}: {}", wrong(text));
    }
}

/// Whoever names a collector is told that nothing would come of it.
#[cfg(not(feature = "otel"))]
#[test]
fn a_collector_takes_a_build_that_sends_traces() {
    let problem = wrong("[traces]\nendpoint = \"http://otel:4318\"");
    assert!(
        problem.contains("traces.endpoint is http://otel:4318") && problem.contains("--features otel"),
        "{problem}"
    );
    Config::parse(
        "[traces]\nservice = \"images\"\none_in = 100\n",
        "lazaret.toml",
        Vec::new(),
    )
    .unwrap();
}

#[cfg(feature = "otel")]
#[test]
fn a_collectors_ca_takes_a_collector_that_encrypts() {
    let problem = wrong("[traces]\nendpoint = \"http://otel:4318\"\nca = \"c\"");
    assert!(
        problem.contains("traces.ca is given, but http://otel:4318 is not encrypted"),
        "{problem}"
    );
    let config = with("TRACES_ENDPOINT", "https://otel").unwrap();
    assert_eq!(config.traces.endpoint.unwrap().traces(), "https://otel/v1/traces");
}

#[test]
fn the_environment_wins() {
    assert_eq!(with("LIMITS_SCANS", "7").unwrap().limits.scans, 7);
    assert_eq!(
        with("LIMITS_CPU_BASE", "2s").unwrap().limits.cpu_base,
        Duration::from_secs(2)
    );
    assert_eq!(with("LEDGER", "sqlite:/x").unwrap().ledger.to_string(), "sqlite:/x");
    assert_eq!(
        with("STORES_PHOTOS", "file:/p").unwrap().stores["photos"].to_string(),
        "file:/p"
    );
}

#[test]
fn notices_go_unencrypted_where_that_is_said() {
    let text = "[notices]\nurl = \"http://hooks.example/x\"\nplain = \"anywhere\"\non = [\"breaker\"]\n";
    let notices = Config::parse(text, "lazaret.toml", Vec::new()).unwrap().notices;
    assert_eq!(notices.url.unwrap().whole(), "http://hooks.example/x");
    assert_eq!(notices.on.len(), 1);
    let set = with("NOTICES_URL", "https://hooks.example/T0PSECRET").unwrap();
    assert_eq!(set.notices.url.clone().unwrap().to_string(), "https://hooks.example/…");
    assert!(!format!("{set:?}").contains("T0PSECRET"));
}

#[test]
fn formats_are_switched_off_by_name() {
    let off = Config::parse("[limits.formats]\ntiff = \"off\"\n", "lazaret.toml", Vec::new()).unwrap();
    assert_eq!(off.limits.formats.tiff, Switch::Off);
    assert_eq!(with("LIMITS_FORMATS_TIFF", "off").unwrap(), off);
    assert_eq!(
        wrong("[limits.formats]\ntifff = \"off\"\n"),
        "lazaret.toml:2:1: unknown key `tifff`; did you mean `tiff`?"
    );
    assert!(wrong("[limits.formats]\ntiff = \"maybe\"\n").contains("maybe"));
    let error = with("LIMITS_FORMATS_TIFFF", "off").unwrap_err().to_string();
    assert!(error.ends_with("did you mean LAZARET_LIMITS_FORMATS_TIFF?"), "{error}");
}

#[test]
fn a_wrong_variable_is_named() {
    let cases = [
        (
            "LIMITS_SCAN",
            "LAZARET_LIMITS_SCAN: is no setting; did you mean LAZARET_LIMITS_SCANS?",
        ),
        ("LIMITS_SCANS", "LAZARET_LIMITS_SCANS: invalid type"),
    ];
    for (name, message) in cases {
        let error = with(name, "many").unwrap_err().to_string();
        assert!(error.starts_with(message), "{error}");
    }
}

#[test]
fn a_tenants_limits_lie_over_the_default_ones() {
    let text = "[tenants.default]\nqueued = 7\n[tenants.Acme]\njobs_per_minute = 5\nover = \"refuse\"\n";
    let config = Config::parse(text, "lazaret.toml", Vec::new()).unwrap();
    let (acme, other) = (config.limits_of("Acme"), config.limits_of("other"));
    assert_eq!(
        (acme.jobs_per_minute, acme.queued, acme.over),
        (5, 7, tenants::Over::Refuse)
    );
    assert_eq!(
        (other.jobs_per_minute, other.queued, other.over),
        (6000, 7, tenants::Over::Park)
    );
    assert_eq!(Config::default().limits_of("other"), tenants::Limits::default());
}

#[test]
fn wrong_limits_of_tenants_are_named() {
    let cases = [
        ("[tenants.\"a.b\"]\nqueued = 1", "[tenants]: \"a.b\" is not"),
        ("[tenants.acme]\njobs_per_mnute = 1", "did you mean `jobs_per_minute`?"),
        (
            "[tenants.acme]\nqueued = 9000000000000",
            "tenants.acme.queued is 9000000000000, at most",
        ),
        (
            "[tenants.acme]\nbytes_per_day = \"2 TiB\"",
            "tenants.acme.bytes_per_day is 2.0 TiB, at most 1.0 TiB",
        ),
        ("[tenants.acme]\nover = \"drop\"", "park"),
        ("[tenants]\njobs_per_minute = 1", "lazaret.toml:2:"),
    ];
    for (text, part) in cases {
        assert!(wrong(text).contains(part), "{part}: {}", wrong(text));
    }
}

#[test]
fn the_environment_sets_the_limits_of_all_tenants_and_of_no_other() {
    let config = with("TENANTS_DEFAULT_JOBS_PER_MINUTE", "7").unwrap();
    assert_eq!(config.limits_of("acme").jobs_per_minute, 7);
    let config = with("TENANTS_DEFAULT_BYTES_PER_DAY", "1200 MiB").unwrap();
    assert_eq!(config.limits_of("acme").bytes_per_day.as_u64(), 1200 << 20);
    let error = |name| with(name, "7").unwrap_err().to_string();
    assert!(error("TENANTS_DEFAULT_JOBS_PER_MINUT").ends_with("did you mean LAZARET_TENANTS_DEFAULT_JOBS_PER_MINUTE?"));
    assert!(error("TENANTS_ACME_QUEUED").contains("set in the file, [tenants.NAME]"));
}

#[test]
fn relative_paths_are_relative_to_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("lazaret.toml");
    std::fs::write(&file, "broker = \"spool:./s\"\nledger = \"sqlite:/abs/l\"\n").unwrap();
    let config = Config::load(&file).unwrap();
    assert_eq!(config.broker.folder(), Some(&*folder.path().join("s")));
    assert_eq!(config.ledger.file(), Some(Path::new("/abs/l")));
    assert_eq!(config.stores["uploads"].folder(), Some(&*folder.path().join("uploads")));
}

#[test]
fn a_drain_that_the_supervisor_would_cut_short_is_refused() {
    let why = wrong("[worker]\ngrace = \"29s\"");
    assert!(
        why.contains("worker.grace is 29s, worker.drain takes 25s of it, and signing off up to 5s"),
        "{why}"
    );
    for fits in ["grace = \"30s\"", "grace = \"10s\"\ndrain = \"5s\"", "grace = \"0s\""] {
        Config::parse(&format!("[worker]\n{fits}"), "lazaret.toml", Vec::new()).unwrap();
    }
}

#[test]
fn values_that_no_host_has_use_for_are_named_with_their_bound() {
    let cases = [
        ("[limits]\ncpu = \"300000000000years\"", "limits.cpu is "),
        (
            "[limits]\npreflight_wall = \"25h\"",
            "limits.preflight_wall is 1day 1h, at most 1day",
        ),
        ("[worker]\ndrain = \"2days\"", "worker.drain is 2days, at most 1day"),
        ("[limits]\ninput = \"16383 PiB\"", "limits.input is "),
        ("[limits]\noutput = \"17 EiB\"", "limits.output is "),
        (
            "[specimens]\nbytes = \"2 TiB\"",
            "specimens.bytes is 2.0 TiB, at most 1.0 TiB",
        ),
        ("[limits]\nframe_pixels = 9223372036854775807", "at most 1099511627776"),
        (
            "[limits]\nwall_per_cpu = 1001",
            "limits.wall_per_cpu is 1001, at most 1000",
        ),
    ];
    for (text, part) in cases {
        assert!(wrong(text).contains(part), "{part}: {}", wrong(text));
    }
    // What is just allowed can be reckoned with.
    let largest = "[limits]\ncpu = \"1day\"\nwall_per_cpu = 1000\nmemory = \"1 TiB\"\n";
    let config = Config::parse(largest, "lazaret.toml", Vec::new()).unwrap();
    assert_eq!(config.limits.ceiling().wall_ms, 86_400_000 * 1000 + 2000);
    let _ = config.limits.timers();
}

#[test]
fn places_inside_a_store_are_named_with_it() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("uploads")).unwrap();
    std::os::unix::fs::symlink("uploads", folder.path().join("link")).unwrap();
    let file = folder.path().join("lazaret.toml");
    let load = |text: &str| {
        std::fs::write(&file, text).unwrap();
        Config::load(&file)
    };
    let cases = [
        ("[stores]\nrenditions = \"file:uploads/\"", "is the same folder as"),
        (
            "[stores]\nrenditions = \"file:./x/../uploads\"",
            "is the same folder as",
        ),
        ("[stores]\nrenditions = \"file:link\"", "is the same folder as"),
        ("[stores]\nrenditions = \"file:link/r\"", "stores.renditions: "),
        ("[stores]\nuploads = \"file:.\"", "lies inside stores.uploads"),
        ("[stores]\nphotos = \"file:specimens/photos\"", "stores.photos: "),
        ("broker = \"spool:renditions/spool\"", "broker: "),
        ("ledger = \"sqlite:uploads/a/ledger.sqlite\"", "ledger: "),
        ("[stores]\nphotos = \"file:spool/done\"", "lies inside broker"),
        ("[stores]\nphotos = \"file:flights\"", "the ledger's flights"),
    ];
    for (text, part) in cases {
        let error = load(text).unwrap_err().to_string();
        assert!(error.contains(part), "{part}: {error}");
    }
    assert!(load("").is_ok(), "the ledger lies in the folder that the stores lie in");
    assert!(load("[stores]\nphotos = \"file:uploads-old\"").is_ok());
}

#[test]
fn a_ledger_of_the_environment_keeps_its_password_and_shows_none() {
    let config = with("LEDGER", "postgres://worker:hunter2@db/lazaret").unwrap();
    let LedgerAddress::Postgres(address) = &config.ledger else {
        panic!("{}", config.ledger);
    };
    assert!(format!("{:?}", config.postgres.options(address)).contains("hunter2"));
    for shown in [format!("{config:?}{address:?}"), toml::to_string(&config).unwrap()] {
        assert!(!shown.contains("hunter2"), "{shown}");
    }
}

#[test]
fn flights_lie_beside_the_ledgers_file_or_the_configuration() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("lazaret.toml");
    let flights = |text: &str| {
        std::fs::write(&file, text).unwrap();
        Config::load(&file).unwrap().flights()
    };
    assert_eq!(flights("ledger = \"sqlite:a/l\""), folder.path().join("a/flights"));
    assert_eq!(flights("ledger = \"postgres://u@h/l\""), folder.path().join("flights"));
    assert_eq!(flights("[worker]\nflights = \"f\""), folder.path().join("f"));
}

#[test]
fn a_broker_of_the_environment_keeps_its_password_and_shows_none() {
    let config = with("BROKER", "amqps://worker:hunter2@rabbit/images").unwrap();
    let BrokerAddress::Amqp(broker) = &config.broker else {
        panic!("{}", config.broker);
    };
    assert_eq!(broker.uri().authority.userinfo.password, "hunter2");
    let config = with("AMQP_MANAGEMENT", "http://boss:hunter2@rabbit").unwrap();
    assert_eq!(config.amqp.management(broker).credentials(), Some(("boss", "hunter2")));
    for shown in [format!("{config:?}{broker:?}"), toml::to_string(&config).unwrap()] {
        assert!(!shown.contains("hunter2"), "{shown}");
    }
    let error = with("BROKER", "amqp://worker:se/cret@rabbit").unwrap_err().to_string();
    assert!(
        error.starts_with("LAZARET_BROKER: is no URL") && !error.contains("cret"),
        "{error}"
    );
}

#[test]
fn files_of_certificates_are_relative_to_the_file_and_empty_ones_are_none() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("lazaret.toml");
    let text = "[amqp]\nca = \"./tls/ca.pem\"\nkey = \"\"\n";
    std::fs::write(&file, text).unwrap();
    let config = Config::load(&file).unwrap();
    assert_eq!(config.amqp.ca, Some(folder.path().join("tls/ca.pem")));
    assert_eq!((config.amqp.certificate, config.amqp.key), (None, None));
}

#[test]
fn the_window_is_never_without_bound() {
    let window = |prefetch, slots| {
        let amqp = AmqpConfig {
            prefetch,
            ..AmqpConfig::default()
        };
        amqp.window(slots)
    };
    assert_eq!(
        [window(0, 1), window(0, 100), window(0, 1 << 20), window(7, 100)],
        [64, 800, 65535, 7]
    );
}
