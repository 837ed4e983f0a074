use super::*;

fn fitting() -> Given {
    Given {
        grace: Some(Duration::from_secs(30)),
        tasks: Some(4096),
        term: Some(Term::Worker),
        oom: Some(Oom::One),
        restart: Some(Restart::Again),
        ..Given::by(Name::Systemd(None))
    }
}

#[test]
fn what_is_not_known_is_no_misfit() {
    assert_eq!(Given::by(Name::Kubernetes).misfits(&Config::default()), []);
    assert_eq!(fitting().misfits(&Config::default()), []);
}

#[test]
fn a_drain_and_signing_off_must_fit_into_the_grace() {
    let config = Config::default();
    let given = |seconds| Given {
        grace: Some(Duration::from_secs(seconds)),
        ..fitting()
    };
    assert_eq!(given(30).misfits(&config), []);
    let misfits = given(29).misfits(&config);
    assert!(matches!(misfits[..], [Misfit::Grace { .. }]), "{misfits:?}");
    assert!(
        misfits[0]
            .to_string()
            .starts_with("KILL comes 29s after TERM, worker.drain is 25s")
    );
}

#[test]
fn each_setting_that_fails_at_a_restart_is_named() {
    let mut config = Config::default();
    config.worker.slots = 1000;
    let given = Given {
        tasks: Some(1000),
        term: Some(Term::Everybody),
        oom: Some(Oom::All),
        restart: Some(Restart::Never),
        ..fitting()
    };
    let misfits = given.misfits(&config);
    assert!(
        matches!(
            misfits[..],
            [
                Misfit::Tasks { given: 1000, .. },
                Misfit::Term,
                Misfit::Restart,
                Misfit::Oom
            ]
        ),
        "{misfits:?}"
    );
    let remarks: Vec<_> = misfits.iter().filter(|it| it.weight() == Weight::Remark).collect();
    assert_eq!(remarks, [&Misfit::Oom]);
}

#[test]
fn it_reads_as_a_line() {
    let given = Given {
        memory: Some(3 << 30),
        name: Name::Systemd(Some("lazaret.service".to_owned())),
        ..fitting()
    };
    assert_eq!(
        given.to_string(),
        "systemd, lazaret.service, KILL 30s after TERM, 3.0 GiB of memory, 4096 tasks"
    );
}
