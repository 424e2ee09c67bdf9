//! A host name: what a spec makes of it is a host name, and stays what it is when it is read again.
#![no_main]

use hop3_agent_fuzz::load;
use hop3_plugin_api::HostName;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Ok(name) = HostName::parse(text) {
        assert_eq!(name.as_str(), text, "a name is parsed, never changed");
    }
    for name in of_a_spec(text) {
        assert_eq!(HostName::parse(name.as_str()).as_ref(), Ok(&name));
        assert_eq!(of_a_spec(name.as_str()), [name], "normal is normal");
    }
});

/// What a spec with this host name comes to.
fn of_a_spec(text: &str) -> Vec<HostName> {
    let quoted = toml::Value::String(text.to_owned());
    let spec = format!("[domains]\nlist = [{quoted}]\n[run]\nstart = \"serve\"\n");
    let loaded = load(Some(spec.as_bytes()), None);
    loaded.spec.map(|spec| spec.hosts).unwrap_or_default()
}
