//! Fills an environment template at the moment a process starts. Plaintext exists only in the map that is returned.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use hop3_plugin_api::{
    Abort, AddonName, Context, EnvKey, EnvMap, EnvValue, FileWrite, Generator, PluginError, Result,
    Secret,
};

use super::hex;
use crate::observe::StateFiles;
use crate::registry::Registry;
use crate::release::Target;
use crate::spec::template::{Piece, pieces};

const LETTERS: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

/// The environment of an app: addons first, then its own values, then what is computed from both.
///
/// Effect: makes generated secrets that do not exist yet; existing ones are kept for ever.
pub(super) async fn resolve(
    cx: &Context<'_>,
    registry: &Registry,
    target: &Target,
) -> Result<EnvMap> {
    let addons = connections(cx, registry, target).await?;
    let mut env = injected(target, &addons)?;
    let mut computed = Vec::new();
    for (key, value) in &target.env.values {
        let secret = match value {
            EnvValue::Literal { value } => Secret::new(value.clone()),
            EnvValue::Generated { .. } => generated(cx, key, value).await?,
            EnvValue::Addon { addon, key: wanted } => of_addon(&addons, addon, wanted)?,
            EnvValue::Secret(secret) => return Err(undecryptable(&secret.name)),
            EnvValue::Computed { template } => {
                computed.push((key, template));
                continue;
            }
        };
        env.insert(key.clone(), secret);
    }
    for (key, template) in computed {
        let text = interpolate(template, &env)?;
        env.insert(key.clone(), Secret::new(text));
    }
    Ok(env)
}

type Connections = BTreeMap<AddonName, BTreeMap<EnvKey, Secret>>;

async fn connections(
    cx: &Context<'_>,
    registry: &Registry,
    target: &Target,
) -> Result<Connections> {
    let mut connections = BTreeMap::new();
    for addon in &target.addons {
        let plugin = registry.addons.require(addon.kind.as_str())?;
        connections.insert(
            addon.name.clone(),
            plugin.connection_details(cx, addon).await?,
        );
    }
    Ok(connections)
}

fn injected(target: &Target, addons: &Connections) -> Result<EnvMap> {
    let mut env = EnvMap::new();
    for (name, prefix) in &target.env.addons {
        for (key, value) in addons.get(name).into_iter().flatten() {
            let key = match prefix {
                Some(prefix) => EnvKey::parse(&format!("{prefix}{key}"))?,
                None => key.clone(),
            };
            env.insert(key, value.clone());
        }
    }
    Ok(env)
}

fn of_addon(addons: &Connections, addon: &AddonName, key: &EnvKey) -> Result<Secret> {
    let offers = addons.get(addon).ok_or_else(|| {
        let names: Vec<_> = addons.keys().map(ToString::to_string).collect();
        Abort::new(format!(
            "`[env]` refers to the addon `{addon}`, which this app does not have"
        ))
        .hint(format!("its addons: {}", names.join(", ")))
    })?;
    let found = offers.get(key).cloned();
    found.ok_or_else(|| {
        let names: Vec<_> = offers.keys().map(ToString::to_string).collect();
        Abort::new(format!("the addon `{addon}` offers no variable `{key}`"))
            .hint(format!("it offers: {}", names.join(", ")))
            .into()
    })
}

async fn generated(cx: &Context<'_>, key: &EnvKey, value: &EnvValue) -> Result<Secret> {
    let EnvValue::Generated {
        generator,
        length,
        prefix,
    } = value
    else {
        unreachable!("only generated values are asked for");
    };
    let files = StateFiles::new(&cx.dirs.data, cx.plan.app);
    let path = files.secret(key.as_str());
    if let Some(bytes) = cx.host.read(&path).await? {
        let text = String::from_utf8(bytes)
            .map_err(|e| PluginError::other(format!("could not read the secret `{key}`"), e))?;
        return Ok(Secret::new(text));
    }
    let text = format!("{prefix}{}", generate(cx, *generator, usize::from(*length)));
    cx.host
        .ensure_dir(
            path.parent().expect("a secret lies in a directory"),
            0o700,
            None,
        )
        .await?;
    cx.host
        .write_atomic(FileWrite::private(path, text.clone()))
        .await?;
    Ok(Secret::new(text))
}

fn generate(cx: &Context<'_>, generator: Generator, length: usize) -> String {
    let mut bytes = vec![0u8; length.max(16)];
    cx.host.random(&mut bytes);
    match generator {
        Generator::Hex => hex(&bytes[..length]),
        Generator::Base64 => STANDARD.encode(&bytes[..length]),
        Generator::Urlsafe => URL_SAFE_NO_PAD.encode(&bytes[..length]),
        Generator::Password => password(cx, length),
        Generator::Uuid => uuid(&bytes),
    }
}

/// Letters and digits, each equally likely: bytes that would favour some are drawn again.
fn password(cx: &Context<'_>, length: usize) -> String {
    let mut text = String::with_capacity(length);
    while text.len() < length {
        let mut byte = [0u8];
        cx.host.random(&mut byte);
        if usize::from(byte[0]) < 4 * LETTERS.len() {
            text.push(char::from(LETTERS[usize::from(byte[0]) % LETTERS.len()]));
        }
    }
    text
}

fn uuid(bytes: &[u8]) -> String {
    let mut id: [u8; 16] = bytes[..16]
        .try_into()
        .expect("sixteen bytes were asked for");
    id[6] = (id[6] & 0x0f) | 0x40;
    id[8] = (id[8] & 0x3f) | 0x80;
    let text = hex(&id);
    [
        &text[..8],
        &text[8..12],
        &text[12..16],
        &text[16..20],
        &text[20..],
    ]
    .join("-")
}

/// Fills the references of a template. An unknown name is an error, never an empty text.
fn interpolate(template: &str, env: &EnvMap) -> Result<String> {
    let mut text = String::new();
    for piece in pieces(template) {
        text.push_str(match piece {
            Piece::Text(plain) => plain,
            Piece::Name(name) => env.get(name).ok_or_else(|| no_variable(name))?.expose(),
        });
    }
    Ok(text)
}

fn no_variable(name: &str) -> Abort {
    Abort::new(format!(
        "`[env.computed]` refers to `{name}`, which is not a variable of this app"
    ))
    .hint("computed values see static, generated and addon variables, and computed ones whose names come before")
}

fn undecryptable(name: &str) -> PluginError {
    Abort::new(format!(
        "the secret `{name}` cannot be decrypted by this version of hop3-agent"
    ))
    .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_computed_value_sees_other_variables_and_refuses_unknown_ones() {
        let env = EnvMap::from([(EnvKey::parse("USER").unwrap(), Secret::new("ann"))]);
        assert_eq!(interpolate("a-${USER}-$$-$x", &env).unwrap(), "a-ann-$-$x");
        assert!(
            interpolate("${NOPE}", &env)
                .unwrap_err()
                .to_string()
                .contains("`NOPE`")
        );
    }
}
