//! What the management API's refusals mean, and what to do. `[pure]`

use std::io::ErrorKind;

use serde_json::Value;

/// What to look at where nobody answers, or somebody else does.
const WHERE: &str = "the management API is usually at port 15672, with TLS at 15671; see amqp.management, and \
                     `rabbitmq-plugins enable rabbitmq_management`";

/// No answer.
pub(super) fn unreachable(error: &ureq::Error) -> String {
    match error {
        ureq::Error::Io(io) if io.kind() == ErrorKind::ConnectionRefused => {
            format!("the management API refuses connections: is the plugin enabled? {WHERE}")
        }
        ureq::Error::Timeout(_) => format!("the management API does not answer in time ({error}); {WHERE}"),
        ureq::Error::Rustls(_) => {
            format!("TLS failed: {error}; see amqp.ca, and whether the certificate is for this host")
        }
        ureq::Error::Io(io) if io.to_string().contains("certificate") => {
            format!("TLS failed: {io}; see amqp.ca, and whether the certificate is for this host")
        }
        ureq::Error::HostNotFound => "there is no such host".to_owned(),
        error => format!("the management API does not answer: {error}; {WHERE}"),
    }
}

/// An answer, but not one of RabbitMQ.
pub(super) fn not_the_api(error: &serde_json::Error) -> String {
    format!("answers, but not as the management API does ({error}); {WHERE}")
}

/// A refusal, with RabbitMQ's own reason.
pub(super) fn refused(status: u16, body: &str, user: &str, vhost: &str) -> String {
    let body: Value = serde_json::from_str(body).unwrap_or_default();
    let Some(reason) = body["reason"].as_str().or_else(|| body["error"].as_str()) else {
        return format!("answers with HTTP status {status}, not as the management API does; {WHERE}");
    };
    let reason: String = reason.chars().filter(|c| !c.is_control()).take(300).collect();
    let remedy = match (status, reason.as_str()) {
        (404, _) => format!("there is no virtual host {vhost}; `rabbitmqctl add_vhost {vhost}`"),
        (401, "Login failed" | "Not_Authorized") => format!("wrong name or password of user {user}"),
        (401 | 403, "Not management user") => format!(
            "user {user} may not use the management API; `rabbitmqctl set_user_tags {user} policymaker` \
             (management is enough for plan and check), or name another user in amqp.management"
        ),
        (401 | 403, reason) if reason.contains("virtual host") => {
            format!(
                "user {user} has no permissions in virtual host {vhost}; `rabbitmqctl set_permissions -p {vhost} {user} …`"
            )
        }
        (401 | 403, _) => format!(
            "user {user} needs the tag policymaker, and permission to configure, write and read lazaret.* in virtual host {vhost}; \
             or import `lazaret topology definitions` as an administrator"
        ),
        _ => return format!("refused with HTTP status {status}: {reason}"),
    };
    format!("{reason}: {remedy}")
}
