//! What an app's own compose file may ask for. It is an allow-list: an option that is not known to stay inside the container is refused by
//! name. It judges the normalised document that compose itself gives, so that anchors, merges, interpolation and short forms are all gone.

use std::path::{Component, Path};

use hop3_plugin_api::Abort;
use serde_json::{Map, Value};

/// Options of a service that are taken over as they are.
pub(crate) const KEPT: [&str; 32] = [
    "cap_drop",
    "command",
    "cpu_shares",
    "cpus",
    "cpuset",
    "dns",
    "dns_opt",
    "dns_search",
    "domainname",
    "entrypoint",
    "expose",
    "extra_hosts",
    "group_add",
    "healthcheck",
    "hostname",
    "image",
    "init",
    "labels",
    "mem_limit",
    "memswap_limit",
    "pids_limit",
    "platform",
    "read_only",
    "security_opt",
    "shm_size",
    "stdin_open",
    "stop_signal",
    "tmpfs",
    "tty",
    "ulimits",
    "user",
    "working_dir",
];

/// Options that the deployer replaces by its own; they have no effect of their own.
const REPLACED: [&str; 16] = [
    "build",
    "container_name",
    "depends_on",
    "deploy",
    "develop",
    "environment",
    "links",
    "logging",
    "networks",
    "ports",
    "profiles",
    "pull_policy",
    "restart",
    "scale",
    "stop_grace_period",
    "volumes",
];

/// Refuses a normalised compose document that asks for more than its own container; the message lists every place at once.
pub(crate) fn check(document: &Value, file: &str, release: &Path) -> Result<(), Abort> {
    let mut found = Vec::new();
    for (key, value) in members(document) {
        match key.as_str() {
            "services" => services(value, release, &mut found),
            "volumes" => each(value, "volumes", &mut found, volume),
            "networks" => each(value, "networks", &mut found, network),
            "name" | "version" => {}
            extension if extension.starts_with("x-") => {}
            _ if is_inert(value) => {}
            _ => found.push(format!("`{key}`")),
        }
    }
    if found.is_empty() {
        return Ok(());
    }
    Err(Abort::new(format!(
        "`{file}` asks for what an app may not have: {}",
        found.join(", ")
    ))
    .hint("remove it; an app gets its own container, named volumes and read-only files of its source, and nothing of the host"))
}

fn services(services: &Value, release: &Path, found: &mut Vec<String>) {
    for (name, service) in members(services) {
        for (key, value) in members(service) {
            if let Some(complaint) = option(key, value, release) {
                found.push(format!("`services.{name}.{key}`{complaint}"));
            }
        }
    }
}

/// `None` when the option is harmless, else what to add to its name.
fn option(key: &str, value: &Value, release: &Path) -> Option<String> {
    if is_inert(value) || key.starts_with("x-") {
        return None;
    }
    match key {
        "volumes" => list(value).find_map(|mount| bad_mount(mount, release)),
        "security_opt" => list(value)
            .find(|option| !is_no_new_privileges(option))
            .map(said),
        "image" => bad_image(value),
        "ipc" => (!["private", "shareable", "none"].contains(&text(value))).then(|| said(value)),
        "cgroup" => (text(value) != "private").then(|| said(value)),
        "network_mode" => (!["bridge", "default"].contains(&text(value))).then(|| said(value)),
        _ if KEPT.contains(&key) || REPLACED.contains(&key) => None,
        _ => Some(String::new()),
    }
}

fn bad_mount(mount: &Value, release: &Path) -> Option<String> {
    let source = text(&mount["source"]);
    match text(&mount["type"]) {
        "tmpfs" => None,
        "volume" if !source.contains('/') => None,
        "bind" if is_inside(source, release) => None,
        "bind" if source.ends_with("docker.sock") => {
            Some(format!(" (the engine's socket `{source}`)"))
        }
        "bind" => Some(format!(" (`{source}` is outside the app's source)")),
        other => Some(format!(" (a mount of type `{other}`)")),
    }
}

/// By its words alone: the source was exported without links that leave it, and an app cannot write it.
fn is_inside(path: &str, root: &Path) -> bool {
    let path = Path::new(path);
    let plain = path
        .components()
        .all(|part| matches!(part, Component::RootDir | Component::Normal(_)));
    plain && path.starts_with(root)
}

/// Images that this agent built for other apps are none of this one's business.
fn bad_image(image: &Value) -> Option<String> {
    let name = text(image);
    let name = name.strip_prefix("docker.io/").unwrap_or(name);
    let foreign = name.starts_with("hop3/") || name.starts_with("sha256:");
    foreign.then(|| said(image))
}

fn is_no_new_privileges(option: &Value) -> bool {
    [
        "no-new-privileges",
        "no-new-privileges:true",
        "no-new-privileges=true",
    ]
    .contains(&text(option))
}

fn volume(volume: &Value) -> Option<&'static str> {
    if !is_inert(&volume["external"]) {
        return Some("external");
    }
    if !is_inert(&volume["driver_opts"]) {
        return Some("driver_opts");
    }
    (!["", "local"].contains(&text(&volume["driver"]))).then_some("driver")
}

fn network(network: &Value) -> Option<&'static str> {
    if !is_inert(&network["external"]) {
        return Some("external");
    }
    (!["", "bridge", "default"].contains(&text(&network["driver"]))).then_some("driver")
}

fn each(
    table: &Value,
    title: &str,
    found: &mut Vec<String>,
    complaint: fn(&Value) -> Option<&'static str>,
) {
    for (name, entry) in members(table) {
        if let Some(key) = complaint(entry) {
            found.push(format!("`{title}.{name}.{key}`"));
        }
    }
}

fn said(value: &Value) -> String {
    let text = value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned);
    format!(" (`{text}`)")
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

/// The entries of an object, none of anything else.
pub(crate) fn members(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flat_map(Map::iter)
}

/// Whether a value says no more than leaving the option out.
fn is_inert(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::Bool(true) | Value::Number(_) => false,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(members) => members.is_empty(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const RELEASE: &str = "/data/apps/shop/releases/1/app";

    fn refusal(document: &Value) -> Option<String> {
        check(document, "compose.yaml", Path::new(RELEASE))
            .err()
            .map(|abort| abort.message)
    }

    fn of_service(options: &Value) -> Value {
        json!({"name": "hop3_shop_1", "services": {"web": options}})
    }

    /// What reaches for the host, one option a line, as compose spells it after normalising.
    const DANGEROUS: &str = r#"
        {"privileged": true}
        {"cap_add": ["SYS_ADMIN"]}
        {"cap_add": ["ALL"]}
        {"pid": "host"}
        {"pid": "container:abc"}
        {"ipc": "host"}
        {"ipc": "container:abc"}
        {"uts": "host"}
        {"userns_mode": "host"}
        {"cgroup": "host"}
        {"cgroup_parent": "/system.slice"}
        {"network_mode": "host"}
        {"network_mode": "container:other_web_1"}
        {"devices": ["/dev/sda:/dev/sda:rwm"]}
        {"devices": [{"source": "/dev/kvm", "target": "/dev/kvm"}]}
        {"device_cgroup_rules": ["a *:* rwm"]}
        {"gpus": [{"count": -1}]}
        {"security_opt": ["seccomp:unconfined"]}
        {"security_opt": ["no-new-privileges:true", "apparmor=unconfined"]}
        {"security_opt": ["no-new-privileges:false"]}
        {"sysctls": {"kernel.core_pattern": "|/x"}}
        {"runtime": "runc-unconfined"}
        {"volumes_from": ["container:abc"]}
        {"external_links": ["other_db_1:db"]}
        {"use_api_socket": true}
        {"post_start": [{"command": "x", "privileged": true}]}
        {"env_file": ["/etc/shadow"]}
        {"credential_spec": {"file": "x"}}
        {"oom_score_adj": -1000}
        {"volumes": [{"type": "bind", "source": "/", "target": "/x"}]}
        {"volumes": [{"type": "bind", "source": "/var/run/docker.sock", "target": "/x"}]}
        {"volumes": [{"type": "bind", "source": "/data/apps/shop/releases/1/app/../../../other", "target": "/x"}]}
        {"volumes": [{"type": "bind", "source": "/data/apps/shop/releases/1/app-2", "target": "/x"}]}
        {"volumes": [{"type": "bind", "source": "relative", "target": "/x"}]}
        {"volumes": [{"type": "volume", "source": "/etc", "target": "/x"}]}
        {"volumes": [{"type": "npipe", "source": "x", "target": "/x"}]}
        {"image": "hop3/other:3"}
        {"image": "docker.io/hop3/other:3"}
    "#;

    #[test]
    fn t35_every_option_that_reaches_for_the_host_is_refused_by_its_name() {
        let lines = DANGEROUS.lines().filter(|line| !line.trim().is_empty());
        for line in lines {
            let options: Value = serde_json::from_str(line).unwrap();
            let (key, _) = members(&options).next().unwrap();
            let message =
                refusal(&of_service(&options)).unwrap_or_else(|| panic!("{options} was accepted"));
            assert!(message.contains("`compose.yaml`"), "{message}");
            let place = format!("`services.web.{key}`");
            assert!(message.contains(&place), "{message}");
        }
    }

    #[test]
    fn t35_volumes_networks_and_files_of_others_are_refused() {
        for (document, named) in [
            (
                json!({"volumes": {"d": {"external": true}}}),
                "volumes.d.external",
            ),
            (
                json!({"volumes": {"d": {"driver_opts": {"type": "none", "o": "bind", "device": "/"}}}}),
                "volumes.d.driver_opts",
            ),
            (
                json!({"volumes": {"d": {"driver": "vieux/sshfs"}}}),
                "volumes.d.driver",
            ),
            (
                json!({"networks": {"n": {"external": true}}}),
                "networks.n.external",
            ),
            (
                json!({"networks": {"n": {"driver": "macvlan"}}}),
                "networks.n.driver",
            ),
            (
                json!({"secrets": {"s": {"file": "/etc/shadow"}}}),
                "secrets",
            ),
            (
                json!({"configs": {"c": {"file": "/etc/shadow"}}}),
                "configs",
            ),
            (json!({"include": [{"path": ["/etc/x.yaml"]}]}), "include"),
        ] {
            let message = refusal(&document).unwrap_or_else(|| panic!("{document} was accepted"));
            assert!(message.contains(named), "{message}");
        }
    }

    #[test]
    fn all_refusals_of_a_file_are_told_at_once() {
        let message = refusal(&json!({
            "services": {"web": {"privileged": true}, "db": {"pid": "host"}},
            "volumes": {"d": {"external": true}},
        }))
        .unwrap();
        for named in [
            "services.web.privileged",
            "services.db.pid",
            "volumes.d.external",
        ] {
            assert!(message.contains(named), "{message}");
        }
    }

    #[test]
    fn what_stays_inside_the_container_is_accepted() {
        let options = json!({
            "image": "nginx:1", "command": ["x"], "privileged": false, "cap_add": [], "cap_drop": ["ALL"],
            "security_opt": ["no-new-privileges:true"], "network_mode": "bridge", "x-note": 1, "ipc": "private",
            "volumes": [
                {"type": "volume", "source": "data", "target": "/d"}, {"type": "volume", "target": "/anonymous"},
                {"type": "tmpfs", "target": "/t"},
                {"type": "bind", "source": format!("{RELEASE}/nginx.conf"), "target": "/etc/nginx/nginx.conf"},
            ],
        });
        assert_eq!(refusal(&of_service(&options)), None);
        assert_eq!(
            refusal(&json!({"name": "x", "x-top": {}, "volumes": {"data": {"name": "x_data"}}})),
            None
        );
    }
}
