//! The names of what a binary brings, by kind: to tell early what planning will refuse, and what may have been meant. It chooses nothing.

use super::suggest::{all_of, did_you_mean};

/// Names of what is linked into a binary.
#[derive(Debug, Clone, Default)]
pub struct Linked {
    /// Builders.
    pub builders: Vec<String>,
    /// Toolchains.
    pub toolchains: Vec<String>,
    /// Deployers.
    pub deployers: Vec<String>,
    /// Proxies.
    pub proxies: Vec<String>,
    /// Types of addons.
    pub addons: Vec<String>,
}

/// A kind of what plugins bring.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    Builder,
    Toolchain,
    Deployer,
    Proxy,
    Addon,
}

impl Part {
    /// The kind in words.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Builder => "builder",
            Self::Toolchain => "toolchain",
            Self::Deployer => "deployer",
            Self::Proxy => "proxy",
            Self::Addon => "addon type",
        }
    }

    /// The names that the format has, whether a binary brings them or not.
    pub(crate) fn of_the_format(self) -> &'static [&'static str] {
        match self {
            Self::Builder => &["docker", "local", "nix"],
            Self::Toolchain => &[
                "clojure", "dotnet", "elixir", "generic", "go", "java", "node", "php", "python",
                "ruby", "rust", "static",
            ],
            Self::Deployer => &["docker-compose", "native", "static", "systemd", "uwsgi"],
            Self::Proxy => &["builtin", "caddy", "nginx", "traefik"],
            Self::Addon => &["email", "mysql", "postgres", "redis", "s3", "sqlite"],
        }
    }
}

impl Linked {
    /// The names of a kind; those of the format where nobody said what is linked.
    pub(crate) fn names(&self, part: Part) -> Vec<&str> {
        let told = match part {
            Part::Builder => &self.builders,
            Part::Toolchain => &self.toolchains,
            Part::Deployer => &self.deployers,
            Part::Proxy => &self.proxies,
            Part::Addon => &self.addons,
        };
        if self.is_empty() {
            part.of_the_format().to_vec()
        } else {
            told.iter().map(String::as_str).collect()
        }
    }

    fn is_empty(&self) -> bool {
        let all = [
            &self.builders,
            &self.toolchains,
            &self.deployers,
            &self.proxies,
            &self.addons,
        ];
        all.iter().all(|names| names.is_empty())
    }

    /// Whether this binary brings it.
    pub(crate) fn has(&self, part: Part, name: &str) -> bool {
        self.names(part).contains(&name)
    }

    /// Whether the format has such a name, or this binary brings it.
    pub(crate) fn knows(&self, part: Part, name: &str) -> bool {
        self.has(part, name) || part.of_the_format().contains(&name)
    }

    /// What to write instead of a name that is not brought.
    pub(crate) fn instead(&self, part: Part, name: &str) -> String {
        let names = self.names(part);
        did_you_mean(name, names.iter().copied()).unwrap_or_else(|| match names.as_slice() {
            [] => format!("no {} is linked into this binary", part.word()),
            names => format!("this binary has {}", all_of(names)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_linked_counts_and_the_format_where_nobody_said() {
        let untold = Linked::default();
        assert!(untold.has(Part::Toolchain, "python") && !untold.has(Part::Toolchain, "cobol"));
        let told = Linked {
            addons: vec!["sqlite".to_owned()],
            ..Linked::default()
        };
        assert!(!told.has(Part::Addon, "postgres") && told.knows(Part::Addon, "postgres"));
        assert_eq!(told.instead(Part::Addon, "sqlit"), "did you mean `sqlite`?");
        assert_eq!(
            told.instead(Part::Proxy, "x"),
            "no proxy is linked into this binary"
        );
    }
}
