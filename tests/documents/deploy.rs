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

const FILES: [&str; 25] = [
    "compose/.env.example",
    "compose/compose.yaml",
    "compose/grafana/dashboards.yaml",
    "compose/grafana/source.yaml",
    "compose/lazaret.toml",
    "compose/prometheus.yml",
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
    walk(Path::new("deploy"), Path::new("deploy"), &mut found);
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
    for server in ["rabbitmq", "postgres", "store", "prometheus", "grafana"] {
        let server = &compose["services"][server];
        assert!(server["healthcheck"]["test"].is_array(), "{server}");
        assert_eq!(server["restart"], "unless-stopped", "{server}");
    }

    let config = worker_of(&compose);
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
    stores_are_mounted(&config, &targets(worker));
}

#[test]
fn buckets_of_compose_are_made_where_the_worker_and_the_web_app_look_for_them() {
    let compose = compose();
    let services = &compose["services"];
    let worker = &services["worker"];
    let config = worker_of(&compose);
    let store = &services["store"];
    let folder = store["command"][1].as_str().unwrap();
    assert_eq!(services["buckets"]["volumes"], store["volumes"]);
    assert!(targets(store).contains(folder));
    let made = services["buckets"]["entrypoint"].as_array().unwrap();
    let endpoint = format!("http://store{}", store["environment"]["VGW_PORT"].as_str().unwrap());
    for (name, address) in &config.stores {
        let bucket = address.bucket().unwrap();
        assert!(made.contains(&json!(format!("{folder}/{}", bucket.bucket()))), "{name}");
        assert_eq!(bucket.endpoint(), Some(endpoint.as_str()), "{name}");
    }
    let web = &services["web"]["environment"];
    let uploads = config.stores["uploads"].bucket().unwrap();
    assert_eq!(web["UPLOADS"], format!("s3://{}", uploads.bucket()));
    assert_eq!(web["AWS_ENDPOINT_URL"], endpoint);
    for reader in [web, &worker["environment"]] {
        assert_eq!(reader["AWS_ACCESS_KEY_ID"], store["environment"]["ROOT_ACCESS_KEY"]);
        assert_eq!(reader["AWS_SECRET_ACCESS_KEY"], store["environment"]["ROOT_SECRET_KEY"]);
    }
    let script = services["web"]["entrypoint"][2].as_str().unwrap();
    for folder in targets(&services["web"]) {
        assert!(script.contains(&folder), "{folder}");
    }
}

#[test]
fn nothing_of_compose_is_published_beyond_this_host() {
    let compose = compose();
    let mut published = BTreeSet::new();
    for (name, service) in compose["services"].as_object().unwrap() {
        assert_ne!(service["network_mode"], "host", "{name}");
        for port in service["ports"].as_array().into_iter().flatten() {
            let port = port.as_str().unwrap();
            assert!(port.starts_with("127.0.0.1:"), "{name}: {port}");
            published.insert(name.as_str());
        }
    }
    assert_eq!(
        published,
        ["grafana", "prometheus"].into(),
        "the worker's listener has no TLS"
    );
}

#[test]
fn prometheus_of_compose_reaches_the_worker_and_knows_the_alerts() {
    let compose = compose();
    let services = &compose["services"];
    let config = worker_of(&compose);
    let admin = config.admin.to_string();
    let port = admin.strip_prefix("0.0.0.0:").expect("others reach it");
    let settings = yaml("compose/prometheus.yml").remove(0);
    let scraped = &settings["scrape_configs"][0];
    assert_eq!(
        scraped["static_configs"][0]["targets"],
        json!([format!("worker:{port}")])
    );
    let job = format!("job=\"{}\"", scraped["job_name"].as_str().unwrap());
    assert!(text("prometheus/lazaret.rules.yml").contains(&job), "{job}");

    // As it lies in the container.
    let folder = tempfile::tempdir().unwrap();
    mount("prometheus", &services["prometheus"], folder.path());
    let place = folder.path().join("etc/prometheus/prometheus.yml");
    let command = services["prometheus"]["command"].as_array().unwrap();
    assert!(command.contains(&json!("--config.file=/etc/prometheus/prometheus.yml")));
    let output = super::metrics::promtool(&["check", "config", place.to_str().unwrap()], "");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && said.contains("1 rule files found"),
        "{output:?}"
    );
}

#[test]
fn grafana_of_compose_has_a_source_and_the_dashboard() {
    let compose = compose();
    let grafana = &compose["services"]["grafana"];
    let folder = tempfile::tempdir().unwrap();
    mount("grafana", grafana, folder.path());
    let provisioned = |kind: &str| {
        let file = folder
            .path()
            .join("etc/grafana/provisioning")
            .join(kind)
            .join("lazaret.yaml");
        documents(&fs::read_to_string(&file).unwrap()).remove(0)
    };
    let source = &provisioned("datasources")["datasources"][0];
    let (_, port) = compose["services"]["prometheus"]["ports"][0]
        .as_str()
        .unwrap()
        .rsplit_once(':')
        .unwrap();
    assert_eq!(source["url"], format!("http://prometheus:{port}"));
    let scraped = &yaml("compose/prometheus.yml")[0]["global"]["scrape_interval"];
    assert_eq!(
        &source["jsonData"]["timeInterval"], scraped,
        "rates are over four of them"
    );

    let dashboards = provisioned("dashboards")["providers"][0]["options"]["path"].clone();
    let dashboards = folder.path().join(dashboards.as_str().unwrap().trim_start_matches('/'));
    let shown = fs::read_to_string(dashboards.join("lazaret.json")).unwrap();
    let shown: Value = serde_json::from_str(&shown).unwrap();
    let variable = &shown["templating"]["list"][0];
    assert_eq!(
        (&variable["type"], &variable["query"]),
        (&json!("datasource"), &source["type"])
    );
    let asked = format!("${{{}}}", variable["name"].as_str().unwrap());
    for panel in shown["panels"].as_array().unwrap() {
        let of = &panel["datasource"];
        let fits = of["uid"] == asked && of["type"] == source["type"];
        assert!(fits || of["uid"] == source["uid"], "{}: {of}", panel["title"]);
    }
}

/// What a container finds of this repository, laid out below a folder.
fn mount(name: &str, service: &Value, folder: &Path) {
    for mount in service["volumes"].as_array().unwrap() {
        let mut parts = mount.as_str().unwrap().split(':');
        let (source, target) = (parts.next().unwrap(), parts.next().unwrap());
        if source.starts_with('.') {
            assert_eq!(parts.next(), Some("ro"), "{name}: {target}");
            let target = folder.join(target.trim_start_matches('/'));
            fs::create_dir_all(target.parent().unwrap()).unwrap();
            fs::copy(Path::new("deploy/compose").join(source), target).unwrap();
        }
    }
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
    for volume in targets(&compose()["services"]["worker"]) {
        let state = volume.strip_prefix("/var/lib/lazaret/");
        assert!(state.is_none_or(|folder| made.contains(folder)), "{volume}");
    }
    let flights = config.flights();
    assert!(
        made.contains(flights.file_name().unwrap().to_str().unwrap()),
        "{flights:?}"
    );
}

/// Whether a file stays outside of the image's build: the last line that is about it decides.
fn is_left_out(ignored: &str, file: &str) -> bool {
    let is_about = |pattern: &str| match (pattern.strip_prefix("**/"), pattern.strip_prefix('*')) {
        (Some(name), _) => file.split('/').any(|part| part == name),
        (None, Some(end)) => !file.contains('/') && file.ends_with(end),
        (None, None) => file
            .strip_prefix(pattern)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/')),
    };
    let about = |line: &&str| is_about(line.trim_start_matches('!'));
    ignored.lines().rfind(about).is_some_and(|line| !line.starts_with('!'))
}

#[test]
fn what_is_compiled_into_the_program_is_there_where_the_image_is_built() {
    let ignored = fs::read_to_string(".dockerignore").unwrap();
    assert!(is_left_out(&ignored, "docs/desk.md") && !is_left_out(&ignored, "docs/openapi.json"));
    assert!(is_left_out(&ignored, "README.md") && is_left_out(&ignored, "av1/target/x"));
    let mut sources = BTreeSet::new();
    walk(Path::new("src"), Path::new("src"), &mut sources);
    let mut included = BTreeSet::new();
    for source in sources.iter().filter(|source| !source.contains("tests")) {
        let source = Path::new("src").join(source);
        let text = fs::read_to_string(&source).unwrap_or_default();
        for macro_call in ["include_str!(\"", "include_bytes!(\""] {
            for after in text.split(macro_call).skip(1) {
                let file = source.parent().unwrap().join(after.split('"').next().unwrap());
                let file = file.canonicalize().unwrap();
                let file = file.strip_prefix(env!("CARGO_MANIFEST_DIR")).unwrap();
                included.insert(file.to_str().unwrap().to_owned());
            }
        }
    }
    assert!(included.contains("docs/openapi.json") && included.contains("config/example.toml"));
    let missing: Vec<_> = included.iter().filter(|file| is_left_out(&ignored, file)).collect();
    assert!(missing.is_empty(), "{missing:?}: left out by .dockerignore");
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

/// Every store that is a folder lies in a volume of its own, so does the record of what runs, and so do the files of what runs.
fn stores_are_mounted(config: &Config, targets: &BTreeSet<String>) {
    for (name, store) in &config.stores {
        let Some(folder) = store.folder() else { continue };
        assert!(
            targets.contains(folder.to_str().unwrap()),
            "{name}: {folder:?}, {targets:?}"
        );
    }
    assert!(config.ledger.file().is_none(), "many hosts share it");
    let flights = config.flights();
    assert!(targets.contains(flights.to_str().unwrap()), "{flights:?}, {targets:?}");
    let staging = config.staging();
    let beside = staging.parent().unwrap().to_str().unwrap();
    assert!(
        [staging.to_str().unwrap(), beside]
            .iter()
            .any(|folder| targets.contains(*folder)),
        "{staging:?}, {targets:?}"
    );
}

/// A worker's configuration in compose.
fn worker_of(compose: &Value) -> Config {
    let variables = variables(&compose["services"]["worker"]["environment"]);
    configuration("compose/lazaret.toml", &text("compose/lazaret.toml"), &variables)
}

/// Where a service of compose has its volumes.
fn targets(service: &Value) -> BTreeSet<String> {
    let volumes = service["volumes"].as_array().unwrap().iter();
    volumes
        .map(|volume| volume.as_str().unwrap().split(':').nth(1).unwrap().to_owned())
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

/// What a worker in a container is told, with a password in the place of `${PASSWORD:?…}`. What it finds by itself is not of the configuration.
fn variables(environment: &Value) -> Variables {
    let variables = environment.as_object().unwrap().iter();
    let filled = |value: &str| {
        let mut parts = value.split("${");
        let first = parts.next().unwrap().to_owned();
        parts.fold(first, |text, part| text + "secret" + part.split_once('}').unwrap().1)
    };
    variables
        .filter(|(name, _)| !name.starts_with("AWS_"))
        .map(|(name, value)| (name.clone(), filled(value.as_str().unwrap())))
        .collect()
}

/// A tag with a version in it.
fn pinned(image: &str) {
    let (_, tag) = image.rsplit_once(':').unwrap_or_else(|| panic!("{image} has no tag"));
    let version = tag.split('-').next().unwrap();
    let version = version.strip_prefix('v').unwrap_or(version);
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
    documents(&text(file))
}

fn documents(text: &str) -> Vec<Value> {
    let documents = YamlLoader::load_from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"));
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

fn walk(root: &Path, folder: &Path, found: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            walk(root, &path, found);
        } else {
            found.insert(path.strip_prefix(root).unwrap().to_str().unwrap().to_owned());
        }
    }
}
