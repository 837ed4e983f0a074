//! `lazaret check` looks at the broker as a worker that starts would.

use std::fs;

use super::node::Node;
use super::world::*;

#[test]
fn what_would_keep_a_worker_from_consuming_is_told_before() {
    let vhost = Node::shared().vhost("checked");
    let world = World::new();
    fs::create_dir(world.path("uploads")).unwrap();
    let file = world.write("lazaret.toml", vhost.configuration());
    let check = || world.run(&["check", file.to_str().unwrap()]);
    let good = check();
    assert_eq!(good.status.code(), Some(0), "{}", stderr(&good));

    vhost.call("DELETE", "queues", "lazaret.jobs.bulk", None);
    let missing = check();
    assert_eq!(missing.status.code(), Some(1), "{}", stderr(&missing));
    let told = stderr(&missing);
    assert!(
        told.contains("queue lazaret.jobs.bulk is missing") && told.contains("lazaret topology apply"),
        "{told}"
    );

    let wrong = vhost.amqp().replace(":secret@", ":mistaken@");
    world.write("lazaret.toml", vhost.configuration_with(&wrong, &vhost.management()));
    let refused = check();
    assert_eq!(refused.status.code(), Some(1), "{}", stderr(&refused));
    let told = stderr(&refused);
    assert!(
        told.contains("and its password") && !told.contains("mistaken"),
        "{told}"
    );
}
