//! Configuration and state that are wrong: a clear error, and nothing started, consumed or overwritten.

use std::fs;

use super::world::*;

#[test]
fn the_example_passes_its_own_check() {
    let world = World::new();
    let example = world.run(&["config", "example"]).stdout;
    let file = world.write("example.toml", example);
    // Workers do not make the store that they read from.
    fs::create_dir(world.path("uploads")).unwrap();
    let output = world.run(&["check", file.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("good") && text.contains("supervisor"), "{text}");
    assert!(text.contains("seccomp") && text.contains(" hold"), "{text}");
    assert_eq!(world.count("."), 2, "nothing was made beside the file");
}

#[test]
fn a_wrong_file_ends_every_command_with_78_before_anything_starts() {
    let world = World::new();
    let file = world.write("wrong.toml", "[limits]\nmemroy = \"1 GiB\"\n");
    let file = file.to_str().unwrap();
    for arguments in [
        vec!["check", file],
        vec!["serve", "--config", file],
        vec!["convert", "--config", file, "x.jpg"],
    ] {
        let output = world.command(&arguments).env_remove("LAZARET_STATE").output().unwrap();
        assert_eq!(output.status.code(), Some(78), "{arguments:?}");
        assert!(stderr(&output).contains("wrong.toml:2:1: unknown key `memroy`; did you mean `memory`?"));
    }
    assert_eq!(world.count("."), 1, "nothing was made beside the file");
}

#[test]
fn more_memory_than_the_host_has_is_an_error_now_and_not_later() {
    let world = World::new();
    let file = world.write("huge.toml", "[limits]\nmemory = \"1 TiB\"\n");
    let output = world.run(&["check", file.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(78));
    assert!(stderr(&output).contains("limits.memory: 1.0 TiB is more than the memory budget of this host"));
}

#[test]
fn a_ledger_that_cannot_be_used_stops_the_service_before_it_takes_a_job() {
    let world = World::new();
    world.submit(&[&fixture("valid/photos/rocket.bmp")]);
    let ledger = world.path("state/ledger.sqlite");
    for content in ["not a database at all, but long enough to be looked at: ", ""] {
        fs::create_dir_all(ledger.parent().unwrap()).unwrap();
        fs::write(&ledger, content.repeat(40)).unwrap();
        let config = world.config();
        let mut serve = world.command(&["serve", "--config", config.to_str().unwrap()]);
        let output = serve.env_remove("LAZARET_STATE").output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
        assert!(stderr(&output).contains("ledger.sqlite"), "{}", stderr(&output));
        assert_eq!(
            fs::read_to_string(&ledger).unwrap(),
            content.repeat(40),
            "not overwritten"
        );
        assert_eq!(world.count("spool/new"), 1, "not consumed");
    }
}

#[test]
fn a_host_that_cannot_hold_a_required_guard_takes_no_job() {
    let world = World::new();
    world.submit(&[&fixture("valid/photos/rocket.bmp")]);
    let config = world.config();
    // Less address space than the limits need, as a supervisor's own setting may leave.
    let mut serve = std::process::Command::new("prlimit");
    serve
        .args([
            "--fsize=1048576:1048576",
            env!("CARGO_BIN_EXE_lazaret"),
            "serve",
            "--config",
        ])
        .arg(&config);
    let output = serve.output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    let error = stderr(&output);
    assert!(
        error.contains("not consuming") && error.contains("rlimits") && error.contains("LimitAS="),
        "{error}"
    );
    assert_eq!(world.count("spool/new"), 1, "not consumed");
}

#[test]
fn doctor_proves_this_host() {
    let world = World::new();
    let checks = world.run(&["doctor", "--json"]);
    assert_eq!(
        checks.status.code(),
        Some(0),
        "{}",
        String::from_utf8_lossy(&checks.stdout)
    );
    let checks = lines(&checks);
    assert!(checks.len() > 30);
    for check in checks {
        assert!(
            check["finding"] == "held" || check["required"] == false || check["finding"] == "not-applicable",
            "{check}"
        );
    }
}

#[test]
fn completions_are_printed_for_every_shell() {
    let world = World::new();
    for shell in ["bash", "zsh", "fish"] {
        let output = world.run(&["completions", shell]);
        assert!(
            String::from_utf8(output.stdout).unwrap().contains("quarantine"),
            "{shell}"
        );
    }
}

#[test]
fn check_fails_now_where_a_restart_would_fail_later() {
    let world = World::new();
    let check = |text: &str| {
        let file = world.write("lazaret.toml", text);
        world.run(&["check", file.to_str().unwrap()])
    };
    let missing = check("");
    assert_eq!(missing.status.code(), Some(78));
    let error = stderr(&missing);
    assert!(
        error.contains("stores.uploads: ") && error.contains("make this folder, or mount it"),
        "{error}"
    );

    fs::create_dir(world.path("uploads")).unwrap();
    world.write("file", "x");
    for (text, key) in [
        ("broker = \"spool:file\"", "broker: "),
        ("broker = \"spool:/proc/lazaret\"", "broker: /proc/lazaret"),
        ("ledger = \"sqlite:file/ledger.sqlite\"", "ledger: "),
        ("[stores]\nspecimens = \"file:file\"", "stores.specimens: "),
        ("[stores]\nphotos = \"file:photos\"", "stores.photos: "),
        ("[stores]\nrenditions = \"file:uploads/r\"", "stores.renditions: "),
        ("broker = \"amqps://h\"\n[amqp]\nca = \"ca.pem\"", "amqp.ca: "),
    ] {
        let output = check(text);
        assert_eq!(output.status.code(), Some(78), "{text}: {}", stderr(&output));
        assert!(stderr(&output).contains(key), "{text}: {}", stderr(&output));
    }
    let ledger = check("ledger = \"sqlite:file\"");
    assert_eq!(ledger.status.code(), Some(1), "{}", stderr(&ledger));
    assert_eq!(fs::read(world.path("file")).unwrap(), b"x");

    let file = world.path("lazaret.toml");
    fs::write(&file, "").unwrap();
    let mut limited = std::process::Command::new("prlimit");
    let limited = limited.args(["--fsize=1048576:1048576", env!("CARGO_BIN_EXE_lazaret"), "check"]);
    let output = limited.arg(&file).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    let error = stderr(&output);
    assert!(
        error.contains("would not consume") && error.contains("rlimits") && error.contains("LimitAS="),
        "{error}"
    );
    assert_eq!(world.count("."), 3, "nothing was made");
}

#[test]
fn a_flag_wins_over_the_variable_of_the_other() {
    let world = World::new();
    let config = world.write("lazaret.toml", "");
    let list = |arguments: &[&str]| {
        let mut all = vec!["quarantine"];
        all.extend(arguments);
        all.push("list");
        let mut command = world.command(&all);
        command.env("LAZARET_CONFIG", &config).output().unwrap()
    };
    // World::command sets LAZARET_STATE.
    for flags in [["--state", "elsewhere"], ["--config", "lazaret.toml"]] {
        let output = list(&flags);
        assert_eq!(output.status.code(), Some(0), "{flags:?}: {}", stderr(&output));
    }
    assert!(world.path("elsewhere/ledger.sqlite").exists() && world.path("ledger.sqlite").exists());
    for flags in [&["--state", "s", "--config", "lazaret.toml"][..], &[]] {
        assert_eq!(list(flags).status.code(), Some(2), "{flags:?}");
    }
}

#[test]
fn what_does_not_fit_the_supervisor_is_found_before_a_restart() {
    let world = World::new();
    fs::create_dir(world.path("uploads")).unwrap();
    // A systemd whose unit has its defaults, and one that has no such unit.
    let check = |shown: &str| {
        let systemctl = world.write("bin/systemctl", format!("#!/bin/sh\nprintf '{shown}'\n"));
        fs::set_permissions(&systemctl, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        let path = format!("{}:/usr/bin:/bin", world.path("bin").display());
        let file = world.write("lazaret.toml", "[worker]\nslots = 2\n");
        let mut command = world.command(&["check", file.to_str().unwrap(), "--unit", "lazaret.service"]);
        command.env("PATH", path).output().unwrap()
    };
    let defaults =
        check("LoadState=loaded\\nTimeoutStopUSec=20s\\nKillMode=control-group\\nOOMPolicy=stop\\nRestart=no\\n");
    assert_eq!(defaults.status.code(), Some(1), "{}", stderr(&defaults));
    let text = String::from_utf8(defaults.stdout).unwrap();
    for line in [
        "lazaret.toml: does not fit its supervisor",
        "supervisor  systemd, lazaret.service, KILL 20s after TERM",
        "WRONG: KILL comes 20s after TERM",
        "WRONG: TERM reaches children too",
        "WRONG: nobody starts the worker again",
        "note: where memory is short",
    ] {
        assert!(text.contains(line), "{line}: {text}");
    }

    let mended =
        check("LoadState=loaded\\nTimeoutStopUSec=40s\\nKillMode=mixed\\nOOMPolicy=continue\\nRestart=always\\n");
    assert_eq!(mended.status.code(), Some(0), "{}", stderr(&mended));
    let text = String::from_utf8(mended.stdout).unwrap();
    assert!(text.contains("lazaret.toml: good") && !text.contains("WRONG"), "{text}");

    let unknown = check("LoadState=not-found\\n");
    assert_eq!(unknown.status.code(), Some(1));
    assert!(stderr(&unknown).contains("--unit lazaret.service: systemd says of lazaret.service: not-found"));
}
