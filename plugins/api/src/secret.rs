//! Text that must never be seen.

use std::fmt;

/// A value that prints as `[redacted]` wherever it is printed.
///
/// Guarantees: no `Debug`, `Display`, `Serialize` or comparison shows or times it; [`Secret::expose`] is the only way out, so a search
/// for that word finds every place where plaintext is used.
#[derive(Clone)]
pub struct Secret(String);

impl Secret {
    /// Wraps a plaintext.
    pub fn new(plaintext: impl Into<String>) -> Self {
        Self(plaintext.into())
    }

    /// The plaintext. Only for handing it to its receiver, never for a message.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn t27_a_secret_never_prints() {
        let secret = Secret::new("canary");
        assert_eq!(format!("{secret} {secret:?}"), "[redacted] [redacted]");
    }
}
