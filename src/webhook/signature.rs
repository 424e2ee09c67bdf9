//! The signature of a hook: HMAC-SHA256 over the body, compared in constant time while the body streams by.

use hmac::{Hmac, KeyInit as _, Mac as _};
use hop3_plugin_api::Secret;
use sha2::Sha256;

/// The one header that is accepted: `sha256=<64 lower-case hex digits>`.
pub(super) const HEADER: &str = "x-hop3-signature-256";

/// The shortest secret that is taken, in bytes.
const SHORTEST: usize = 16;

/// A secret that is long enough.
pub struct HookSecret(Secret);

/// A secret that is too short to be one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the webhook secret has fewer than {SHORTEST} bytes")]
pub struct SecretTooShort;

impl HookSecret {
    /// Takes a secret without the white space around it.
    pub fn new(text: &str) -> Result<Self, SecretTooShort> {
        let text = text.trim();
        if text.len() < SHORTEST {
            Err(SecretTooShort)
        } else {
            Ok(Self(Secret::new(text)))
        }
    }

    /// Begins to check a body against a signature; `None` when it has not the right shape.
    pub(super) fn check(&self, signature: &[u8]) -> Option<Check> {
        let claimed = decode(signature.strip_prefix(b"sha256=")?)?;
        let mac = Hmac::<Sha256>::new_from_slice(self.0.expose().as_bytes())
            .expect("a key of any length is taken");
        Some(Check { mac, claimed })
    }
}

/// A body being checked.
pub(super) struct Check {
    mac: Hmac<Sha256>,
    claimed: [u8; 32],
}

impl Check {
    pub(super) fn update(&mut self, data: &[u8]) {
        self.mac.update(data);
    }

    pub(super) fn holds(self) -> bool {
        self.mac.verify_slice(&self.claimed).is_ok()
    }
}

/// Lower-case hex only: one spelling per signature.
fn decode(hex: &[u8]) -> Option<[u8; 32]> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let mut bytes = [0; 32];
    let pairs = hex.chunks_exact(2);
    if hex.len() != 64 {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(pairs) {
        *byte = digit(pair[0])? * 16 + digit(pair[1])?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "0123456789abcdef";
    // Made with `printf body | openssl dgst -sha256 -hmac 0123456789abcdef`.
    const SIGNATURE: &[u8] =
        b"sha256=c34c3195f4d0282ae2dee7ddba19f07877594896ece7578eed7044843650c708";

    fn holds(signature: &[u8], body: &[u8]) -> bool {
        let secret = HookSecret::new(SECRET).unwrap();
        secret.check(signature).is_some_and(|mut check| {
            check.update(body);
            check.holds()
        })
    }

    #[test]
    fn t04_only_the_right_signature_in_its_one_spelling_holds() {
        assert!(holds(SIGNATURE, b"body"));
        assert!(!holds(SIGNATURE, b"other"));
        assert!(!holds(&SIGNATURE.to_ascii_uppercase(), b"body"));
        assert!(!holds(&SIGNATURE[..SIGNATURE.len() - 1], b"body"));
        assert!(!holds(SIGNATURE.strip_prefix(b"sha256=").unwrap(), b"body"));
    }

    #[test]
    fn t03_a_missing_or_short_secret_is_refused() {
        for text in ["", "   ", "short", "  fifteen bytes!  "] {
            assert!(HookSecret::new(text).is_err(), "{text:?}");
        }
    }
}
