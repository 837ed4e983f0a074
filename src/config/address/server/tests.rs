//! What URLs are read as, and what is never shown of them.

use super::*;

fn amqp(text: &str) -> AmqpAddress {
    text.parse().unwrap()
}

#[test]
fn what_is_left_out_is_what_rabbitmq_assumes() {
    let uri = amqp("amqp://rabbit").uri();
    assert_eq!((uri.authority.port, uri.vhost.as_str()), (5672, "/"));
    assert_eq!(
        (
            uri.authority.userinfo.username.as_str(),
            uri.authority.userinfo.password.as_str()
        ),
        (GUEST, GUEST)
    );
    assert_eq!(amqp("amqps://rabbit/").uri().authority.port, 5671);
    for slash in ["amqp://rabbit/", "amqp://rabbit//", "amqp://rabbit/%2f"] {
        assert_eq!(amqp(slash).vhost(), "/", "{slash}");
    }
}

#[test]
fn every_part_is_decoded() {
    let uri = amqp("amqp://ac%6De:p%2Fa%40ss%3A@[::1]:5673/a%2Fb").uri();
    let AMQPAuthority { userinfo, host, port } = uri.authority;
    assert_eq!(
        (userinfo.username.as_str(), userinfo.password.as_str()),
        ("acme", "p/a@ss:")
    );
    assert_eq!((host.as_str(), port, uri.vhost.as_str()), ("::1", 5673, "a/b"));
}

#[test]
fn a_user_without_a_password_is_not_guest() {
    assert_eq!(amqp("amqp://worker@rabbit").uri().authority.userinfo.password, "");
}

#[test]
fn no_password_is_shown() {
    let address = amqp("amqps://worker:secret@[::1]/a%2Fb");
    assert_eq!(address.to_string(), "amqps://worker@[::1]:5671/a%2Fb");
    assert_eq!(format!("{address:?}"), "AmqpAddress(amqps://worker@[::1]:5671/a%2Fb)");
    assert_eq!(
        format!("{:?}", address.management()),
        "ManagementAddress(https://worker@[::1]:15671)"
    );
    let api: ManagementAddress = "http://boss:secret@rabbit:80/rabbit/".parse().unwrap();
    assert_eq!(api.to_string(), "http://boss@rabbit:80/rabbit");
    assert_eq!(api.base(), "http://rabbit:80/rabbit");
    assert_eq!(api.credentials(), Some(("boss", "secret")));
    assert_eq!(serde_json::to_string(&api).unwrap(), "\"http://boss@rabbit:80/rabbit\"");
}

#[test]
fn the_management_api_is_the_brokers_host_unless_it_is_named() {
    let broker = amqp("amqp://worker:secret@rabbit/images");
    assert_eq!(broker.management().base(), "http://rabbit:15672");
    let elsewhere: ManagementAddress = "http://elsewhere".parse().unwrap();
    assert_eq!(elsewhere.base(), "http://elsewhere:15672");
    assert_eq!(elsewhere.or_user_of(&broker).credentials(), Some(("worker", "secret")));
}

#[test]
fn what_is_wrong_is_named_without_the_password() {
    let cases = [
        ("amqp://u:se/cret@h", "percent-encoded"),
        ("amqp://u:12/secret@h", "/ or @"),
        ("amqp://u:secret@h?heartbeat=5", "set in [amqp]"),
        ("amqp://u:se#cret@h", "percent-encoded"),
        ("amqp://u:secret@h:99999", "invalid port number"),
        ("amqp://u:secret@", "host"),
        ("amqp:///secret", "host"),
        ("amqp://u:secret@h/a/b", "the vhost has a /"),
        ("amqp://u:secret@h/%ff", "the vhost is not UTF-8"),
        ("amqp://u:sec ret@h", "no spaces"),
        ("https://u:secret@h", "https:// is no AMQP"),
    ];
    for (text, part) in cases {
        let error = text.parse::<AmqpAddress>().unwrap_err();
        assert!(error.contains(part), "{text}: {error}");
        assert!(!error.contains("cret"), "{text}: {error}");
    }
    for text in [
        "ftp://u:secret@h",
        "http://u:se/secret@h",
        "http://u:12/secret@h",
        "http://h?x",
    ] {
        let error = text.parse::<ManagementAddress>().unwrap_err();
        assert!(!error.contains("secret"), "{text}: {error}");
    }
}
