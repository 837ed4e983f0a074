//! Every file of `deploy/`, and the Dockerfile: read by the program's own parser, by YAML's, by systemd; and what must agree, does.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use bytesize::ByteSize;
use lazaret::admission::reserve;
use lazaret::config::Config;
use lazaret::supervisor::{Given, Misfit, Name, Oom, Restart, Term, systemd};
use serde_json::{Value, json};
use yaml_rust2::YamlLoader;

const FILES: [&str; 22] = [
    "compose/.env.example",
    "compose/compose.yaml",
    "compose/lazaret.toml",
    "compose/rabbitmq.conf",
    "grafana/lazaret.json",
    "image/lay-out",
    "image/lazaret.toml",
    "image/try",
    "kubernetes/configuration.yaml",
    "kubernetes/disruptions.yaml",
    "kubernetes/kustomization.yaml",
    "kubernetes/namespace.yaml",
    "kubernetes/network.yaml",
    "kubernetes/secret.example.yaml",
    "kubernetes/storage.yaml",
    "kubernetes/topology.yaml",
    "kubernetes/worker.yaml",
    "prometheus/lazaret.rules.yml",
    "prometheus/lazaret.test.yml",
    "systemd/lazaret.conf",
    "systemd/lazaret.service",
    "systemd/lazaret.toml",
];

type Variables = BTreeMap<String, String>;

#[test]
fn every_file_is_known() {
    let mut found = BTreeSet::new();
    walk(Path::new("deploy"), &mut found);
    assert_eq!(
        found,
        FILES.map(str::to_owned).into(),
        "a new file is to be held to something here"
    );
}

#[test]
fn a_service_of_compose_is_locked_up_and_its_limits_fit() {
    let compose = compose();
    let worker = &compose["services"]["worker"];
    for service in ["worker", "topology"] {
        let service = &compose["services"][service];
        assert_eq!(service["user"], "65534:65534");
        assert_eq!(service["read_only"], true);
        assert_eq!(service["cap_drop"], json!(["ALL"]));
    }
    for (name, service) in compose["services"].as_object().unwrap() {
        assert_eq!(service["security_opt"], json!(["no-new-privileges"]), "{name}");
        assert!(
            service["mem_limit"].is_string() && service["pids_limit"].is_u64(),
            "{name}"
        );
        pinned(service["image"].as_str().unwrap());
        let mounts = service["volumes"].as_array().into_iter().flatten();
        for source in mounts.filter_map(|mount| mount.as_str().unwrap().split(':').next()) {
            match source.starts_with('.') {
                true => assert!(Path::new("deploy/compose").join(source).exists(), "{name}: {source}"),
                false => assert!(compose["volumes"].get(source).is_some(), "{name}: {source}"),
            }
        }
    }
    for server in ["rabbitmq", "postgres"] {
        assert!(
            compose["services"][server]["healthcheck"]["test"].is_array(),
            "{server}"
        );
    }

    let config = configuration(
        "compose/lazaret.toml",
        &text("compose/lazaret.toml"),
        &variables(&worker["environment"]),
    );
    let given = Given {
        grace: humantime::parse_duration(worker["stop_grace_period"].as_str().unwrap()).ok(),
        memory: Some(size(&json!(worker["mem_limit"].as_str().unwrap().to_uppercase() + "i"))),
        tasks: worker["pids_limit"].as_u64(),
        ..Given::by(Name::ContainerEngine)
    };
    assert_eq!(worker["mem_limit"], worker["memswap_limit"], "no swap");
    fits(&config, &given);
    assert_eq!(
        Some(config.worker.grace),
        given.grace,
        "the worker is told what its supervisor has"
    );
    stores_are_mounted(
        &config,
        &targets(
            worker["volumes"]
                .as_array()
                .unwrap()
                .iter()
                .map(|it| it.as_str().unwrap()),
        ),
    );
}

#[test]
fn no_password_is_in_a_file() {
    let compose = text("compose/compose.yaml");
    let example = text("compose/.env.example");
    let wanted: BTreeSet<&str> = compose
        .split("${")
        .skip(1)
        .map(|rest| rest.split_once(":?").unwrap().0)
        .collect();
    let named = example
        .lines()
        .filter_map(|line| line.split_once('='))
        .filter(|(name, _)| !name.starts_with('#'));
    let named: BTreeMap<&str, &str> = named.collect();
    assert_eq!(named.keys().copied().collect::<BTreeSet<_>>(), wanted);
    assert!(named.values().all(|value| value.is_empty()), "{named:?}");
    for file in FILES.iter().filter(|file| !file.starts_with("image/")) {
        for address in text(file)
            .split_whitespace()
            .filter(|word| word.contains("://") && word.contains('@'))
        {
            let (credentials, _) = address.split_once("://").unwrap().1.split_once('@').unwrap();
            let (_, password) = credentials.split_once(':').unwrap_or_default();
            assert!(
                ["", "PASSWORD"].contains(&password) || password.starts_with("${"),
                "{file}: {address}"
            );
        }
    }
    let ignored = |file: &str| {
        fs::read_to_string(file)
            .unwrap()
            .lines()
            .any(|line| line.ends_with(".env"))
    };
    assert!(ignored(".gitignore") && ignored(".dockerignore"));
    let listed = &yaml("kubernetes/kustomization.yaml")[0]["resources"];
    assert!(!listed.as_array().unwrap().contains(&json!("secret.example.yaml")));
}

#[test]
fn pods_are_restricted_and_their_limits_fit() {
    let worker = yaml("kubernetes/worker.yaml").remove(0);
    let topology = yaml("kubernetes/topology.yaml").remove(0);
    for workload in [&worker, &topology] {
        let pod = &workload["spec"]["template"]["spec"];
        assert_eq!(
            pod["enableServiceLinks"], false,
            "LAZARET_SERVICE_HOST would be taken for a setting"
        );
        assert_eq!(pod["automountServiceAccountToken"], false);
        assert_eq!(pod["securityContext"]["runAsNonRoot"], true);
        assert_eq!(pod["securityContext"]["runAsUser"], 65534);
        assert_eq!(pod["securityContext"]["seccompProfile"]["type"], "RuntimeDefault");
        for container in containers(pod) {
            let locked = &container["securityContext"];
            assert_eq!(locked["readOnlyRootFilesystem"], true);
            assert_eq!(locked["allowPrivilegeEscalation"], false);
            assert_eq!(locked["capabilities"]["drop"], json!(["ALL"]));
            assert!(container["resources"]["limits"]["memory"].is_string());
            pinned(container["image"].as_str().unwrap());
            let mounted: BTreeSet<_> = names(&container["volumeMounts"]);
            assert!(mounted.is_subset(&names(&pod["volumes"])), "{mounted:?}");
        }
    }

    let pod = &worker["spec"]["template"]["spec"];
    let all = containers(pod);
    let [check, serve] = all[..] else { panic!("{all:?}") };
    for shared in [
        "image",
        "env",
        "envFrom",
        "securityContext",
        "resources",
        "volumeMounts",
    ] {
        assert_eq!(check[shared], serve[shared], "{shared}: what is checked is what is run");
    }
    let settings = yaml("kubernetes/configuration.yaml").remove(0)["data"]["lazaret.toml"]
        .as_str()
        .unwrap()
        .to_owned();
    let mut variables: Variables = yaml("kubernetes/secret.example.yaml")[0]["stringData"]
        .as_object()
        .unwrap()
        .iter()
        .map(|(name, value)| (name.clone(), value.as_str().unwrap().to_owned()))
        .collect();
    for variable in serve["env"].as_array().unwrap() {
        variables.insert(
            variable["name"].as_str().unwrap().to_owned(),
            variable["value"].as_str().unwrap().to_owned(),
        );
    }
    let config = configuration("kubernetes/configuration.yaml", &settings, &variables);
    let given = Given {
        grace: pod["terminationGracePeriodSeconds"].as_u64().map(Duration::from_secs),
        memory: Some(size(&serve["resources"]["limits"]["memory"])),
        ..Given::by(Name::Kubernetes)
    };
    fits(&config, &given);
    assert_eq!(
        Some(config.worker.grace),
        given.grace,
        "the worker is told what its supervisor has"
    );
    let mounts = serve["volumeMounts"].as_array().unwrap().iter();
    stores_are_mounted(
        &config,
        &mounts.map(|it| it["mountPath"].as_str().unwrap().to_owned()).collect(),
    );
    let claims = yaml("kubernetes/storage.yaml");
    let claim = claims
        .iter()
        .find(|claim| claim["metadata"]["name"] == "specimens")
        .unwrap();
    assert!(size(&claim["spec"]["resources"]["requests"]["storage"]) > config.specimens.bytes.as_u64());
    let claims: BTreeSet<_> = claims
        .iter()
        .map(|claim| claim["metadata"]["name"].clone().to_string())
        .collect();
    let volumes = pod["volumes"].as_array().unwrap().iter();
    let claimed = volumes.filter_map(|volume| Some(volume.get("persistentVolumeClaim")?["claimName"].to_string()));
    assert_eq!(claimed.collect::<BTreeSet<_>>(), claims);
}

#[test]
fn all_of_kubernetes_is_applied_and_selects_the_workers() {
    let listed = yaml("kubernetes/kustomization.yaml").remove(0);
    let listed: BTreeSet<_> = listed["resources"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it.as_str().unwrap().to_owned())
        .collect();
    let files = FILES.iter().filter_map(|file| file.strip_prefix("kubernetes/"));
    let files = files.filter(|file| !["kustomization.yaml", "secret.example.yaml"].contains(file));
    assert_eq!(listed, files.map(str::to_owned).collect());

    let worker = yaml("kubernetes/worker.yaml").remove(0);
    let labels = &worker["spec"]["template"]["metadata"]["labels"];
    assert_eq!(&worker["spec"]["selector"]["matchLabels"], labels);
    assert_eq!(
        &yaml("kubernetes/disruptions.yaml")[0]["spec"]["selector"]["matchLabels"],
        labels
    );
    let policy = &yaml("kubernetes/network.yaml")[0]["spec"];
    let selected = policy["podSelector"]["matchLabels"].as_object().unwrap();
    assert!(selected.iter().all(|(name, value)| labels[name] == *value));
    assert_eq!(policy["ingress"], json!([]), "nobody calls a worker");
    let open: BTreeSet<_> = policy["egress"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|rule| rule["ports"].as_array().unwrap())
        .collect::<Vec<_>>()
        .iter()
        .filter_map(|port| port["port"].as_u64())
        .collect();
    for secret in yaml("kubernetes/secret.example.yaml") {
        for address in secret["stringData"].as_object().unwrap().values() {
            let url = url::Url::parse(address.as_str().unwrap()).unwrap();
            let port = url
                .port()
                .or_else(|| (url.scheme() == "postgres").then_some(5432))
                .unwrap();
            assert!(open.contains(&u64::from(port)), "{url} is not reached");
        }
    }
}

#[test]
fn the_unit_fits_its_worker_and_systemd() {
    let unit = text("systemd/lazaret.service");
    let given = systemd::read(&unit, "lazaret.service");
    assert_eq!(
        (given.term, given.oom, given.restart),
        (Some(Term::Worker), Some(Oom::One), Some(Restart::Again))
    );
    let variables = Variables::from([(
        "LAZARET_BROKER".to_owned(),
        "amqp://lazaret:PASSWORD@localhost/images".to_owned(),
    )]);
    let config = configuration("systemd/lazaret.toml", &text("systemd/lazaret.toml"), &variables);
    fits(&config, &given);
    let state = format!("/var/lib/{}", setting(&unit, "StateDirectory").unwrap());
    assert!(
        config
            .stores
            .values()
            .all(|store| store.to_string().starts_with(&format!("file:{state}/")))
    );
    let user = format!("u {} ", setting(&unit, "User").unwrap());
    assert!(text("systemd/lazaret.conf").lines().any(|line| line.starts_with(&user)));
    // What `lazaret doctor` does not survive, or is half blind behind.
    for broken in [
        "ProcSubset",
        "ProtectProc",
        "SystemCallFilter=~@privileged",
        "RestrictNamespaces=yes",
    ] {
        assert!(!unit.lines().any(|line| line.starts_with(broken)), "{broken}");
    }
    for call in [
        "seccomp",
        "landlock_create_ruleset",
        "landlock_add_rule",
        "landlock_restrict_self",
    ] {
        assert!(
            setting(&unit, "SystemCallFilter")
                .unwrap()
                .split(' ')
                .any(|word| word == call),
            "{call}"
        );
    }

    // systemd wants the program to be there.
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("lazaret.service");
    fs::write(&file, unit.replace("/usr/bin/lazaret", env!("CARGO_BIN_EXE_lazaret"))).unwrap();
    let analyze = |arguments: &[&str]| {
        let output = Command::new("systemd-analyze")
            .args(arguments)
            .arg(&file)
            .output()
            .expect("systemd-analyze, of systemd");
        let said = [output.stdout, output.stderr]
            .map(|text| String::from_utf8_lossy(&text).into_owned())
            .concat();
        assert!(output.status.success(), "{said}");
        said
    };
    assert_eq!(analyze(&["verify", "--man=no", "--recursive-errors=no"]), "");
    // Exposure, of 10: a unit without hardening has 9.6.
    analyze(&["security", "--offline=yes", "--threshold=20"]);
}

#[test]
fn the_image_is_pinned_and_runs_as_nobody() {
    let dockerfile = fs::read_to_string("Dockerfile").unwrap();
    let arguments: BTreeMap<_, _> = dockerfile
        .lines()
        .filter_map(|line| line.strip_prefix("ARG ")?.split_once('='))
        .collect();
    let stages: BTreeSet<_> = dockerfile
        .lines()
        .filter_map(|line| line.strip_prefix("FROM ")?.split_once(" AS "))
        .map(|it| it.1)
        .collect();
    for from in dockerfile.lines().filter_map(|line| line.strip_prefix("FROM ")) {
        let image = from.split(' ').next().unwrap();
        let image = arguments.iter().fold(image.to_owned(), |image, (name, value)| {
            image.replace(&format!("${{{name}}}"), value)
        });
        if image != "scratch" && !stages.contains(image.as_str()) {
            pinned(&image);
        }
    }
    let number = |version: &str| {
        version
            .split('.')
            .map(|part| part.parse().unwrap())
            .collect::<Vec<u32>>()
    };
    assert!(number(arguments["RUST"]) >= number(env!("CARGO_PKG_RUST_VERSION")));
    assert!(dockerfile.contains("\nUSER 65534:65534\n") && dockerfile.contains("\nHEALTHCHECK "));

    let config = configuration("image/lazaret.toml", &text("image/lazaret.toml"), &Variables::new());
    let made = text("image/lay-out");
    let (_, made) = made.split_once("\nfor folder in . ").unwrap();
    let made: BTreeSet<_> = made.split_once(';').unwrap().0.split(' ').collect();
    for store in config.stores.keys() {
        assert!(made.contains(store.as_str()), "a volume on {store} would be root's");
    }
    let flights = config.flights();
    assert!(
        made.contains(flights.file_name().unwrap().to_str().unwrap()),
        "{flights:?}"
    );
}

#[test]
fn every_command_is_one_of_the_programs() {
    let compose = compose();
    let mut commands = Vec::new();
    let listed = |list: &Value| {
        list.as_array()
            .unwrap()
            .iter()
            .map(|it| it.as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    commands.push(listed(&compose["services"]["topology"]["command"]));
    for file in ["kubernetes/worker.yaml", "kubernetes/topology.yaml"] {
        for container in containers(&yaml(file)[0]["spec"]["template"]["spec"]) {
            commands.extend(container.get("args").map(listed));
            let probe = container
                .get("livenessProbe")
                .map(|probe| listed(&probe["exec"]["command"]));
            commands.extend(probe.map(|probe| probe[1..].to_vec()));
        }
    }
    let unit = text("systemd/lazaret.service");
    let lines = unit
        .lines()
        .filter_map(|line| line.strip_prefix("Exec")?.split_once("=/usr/bin/lazaret "));
    commands.extend(lines.map(|(_, arguments)| arguments.split(' ').map(str::to_owned).collect()));
    let dockerfile = fs::read_to_string("Dockerfile").unwrap();
    for line in dockerfile
        .lines()
        .filter(|line| line.starts_with("RUN [") || line.contains("CMD ["))
    {
        let list: Vec<String> = serde_json::from_str(&line[line.find('[').unwrap()..]).unwrap();
        let program = usize::from(list[0] == "/usr/bin/lazaret");
        commands.push(list[program..].to_vec());
    }
    assert!(commands.len() >= 10, "{commands:?}");
    for command in commands {
        // Help comes after all that stands before it was understood.
        let output = Command::new(env!("CARGO_BIN_EXE_lazaret"))
            .args(&command)
            .arg("--help")
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "{command:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
}

/// A drain that ends in time, enough tasks, and memory for as many of the largest attempts as there are slots.
fn fits(config: &Config, given: &Given) {
    assert_eq!(given.misfits(config), Vec::<Misfit>::new());
    assert!(given.grace.is_some());
    assert!(
        config.worker.slots > 0,
        "one for each processor of the host would be more than the memory is for"
    );
    let memory = given.memory.unwrap();
    let budget = memory - reserve(memory);
    let most = config.worker.slots as u64 * config.limits.memory.as_u64();
    assert!(most <= budget, "{} at once, of {}", ByteSize(most), ByteSize(budget));
}

/// Every store lies in a volume of its own, and so does the record of what runs.
fn stores_are_mounted(config: &Config, targets: &BTreeSet<String>) {
    for (name, store) in &config.stores {
        let folder = store.to_string();
        assert!(
            targets.contains(folder.trim_start_matches("file:")),
            "{name}: {folder}, {targets:?}"
        );
    }
    assert!(config.ledger.file().is_none(), "many hosts share it");
    let flights = config.flights();
    assert!(targets.contains(flights.to_str().unwrap()), "{flights:?}, {targets:?}");
}

fn targets<'a>(volumes: impl Iterator<Item = &'a str>) -> BTreeSet<String> {
    volumes
        .map(|volume| volume.split(':').nth(1).unwrap().to_owned())
        .collect()
}

/// A configuration as the program would have it, with its environment.
fn configuration(place: &str, text: &str, variables: &Variables) -> Config {
    let variables = variables.iter().map(|(name, value)| {
        let name = name.strip_prefix("LAZARET_");
        let name = name.unwrap_or_else(|| panic!("{place}: {value}"));
        (name.to_owned(), value.clone())
    });
    Config::parse(text, place, variables.collect()).unwrap_or_else(|error| panic!("{error}"))
}

/// What a container is told, with a password in the place of `${PASSWORD:?…}`.
fn variables(environment: &Value) -> Variables {
    let variables = environment.as_object().unwrap().iter();
    let filled = |value: &str| {
        let mut parts = value.split("${");
        let first = parts.next().unwrap().to_owned();
        parts.fold(first, |text, part| text + "secret" + part.split_once('}').unwrap().1)
    };
    variables
        .map(|(name, value)| (name.clone(), filled(value.as_str().unwrap())))
        .collect()
}

/// A tag with a version in it.
fn pinned(image: &str) {
    let (_, tag) = image.rsplit_once(':').unwrap_or_else(|| panic!("{image} has no tag"));
    let version = tag.split('-').next().unwrap();
    let numbers = version.split('.').filter(|part| part.parse::<u32>().is_ok()).count();
    assert!(numbers >= 2 && numbers == version.split('.').count(), "{image}");
}

fn containers(pod: &Value) -> Vec<&Value> {
    ["initContainers", "containers"]
        .iter()
        .filter_map(|kind| pod.get(kind)?.as_array())
        .flatten()
        .collect()
}

fn names(list: &Value) -> BTreeSet<String> {
    list.as_array()
        .unwrap()
        .iter()
        .map(|it| it["name"].as_str().unwrap().to_owned())
        .collect()
}

/// `3Gi`
fn size(value: &Value) -> u64 {
    format!("{}B", value.as_str().unwrap())
        .parse::<ByteSize>()
        .unwrap()
        .as_u64()
}

fn setting<'a>(unit: &'a str, name: &str) -> Option<&'a str> {
    unit.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='))
}

fn text(file: &str) -> String {
    fs::read_to_string(Path::new("deploy").join(file)).unwrap()
}

fn compose() -> Value {
    yaml("compose/compose.yaml").remove(0)
}

/// The documents of a file, with `<<` taken out.
fn yaml(file: &str) -> Vec<Value> {
    let documents = YamlLoader::load_from_str(&text(file)).unwrap_or_else(|error| panic!("{file}: {error}"));
    documents
        .iter()
        .map(|document| merged(crate::plain(document)))
        .collect()
}

fn merged(value: Value) -> Value {
    match value {
        Value::Object(mut object) => {
            let under = object.remove("<<").map(merged);
            let mut all = under.and_then(|it| it.as_object().cloned()).unwrap_or_default();
            all.extend(object.into_iter().map(|(key, value)| (key, merged(value))));
            Value::Object(all)
        }
        Value::Array(list) => list.into_iter().map(merged).collect(),
        other => other,
    }
}

fn walk(folder: &Path, found: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            walk(&path, found);
        } else {
            found.insert(path.strip_prefix("deploy").unwrap().to_str().unwrap().to_owned());
        }
    }
}
