//! Which package of Debian brings a tool, or how it is had where none does: for the hint of whoever misses one.

/// Programs whose package is not called as they are.
const PACKAGES: [(&str, &str); 21] = [
    ("bundle", "ruby-bundler"),
    ("cargo", "cargo"),
    ("clojure", "clojure"),
    ("composer", "composer"),
    ("docker", "docker.io"),
    ("elixir", "elixir"),
    ("go", "golang-go"),
    ("gradle", "gradle"),
    ("java", "default-jre-headless"),
    ("javac", "default-jdk-headless"),
    ("lein", "leiningen"),
    ("make", "make"),
    ("mix", "elixir"),
    ("mvn", "maven"),
    ("node", "nodejs"),
    ("npm", "npm"),
    ("php", "php-cli"),
    ("pipenv", "pipenv"),
    ("poetry", "python3-poetry"),
    ("ruby", "ruby"),
    ("rustc", "rustc"),
];

/// Programs that no package of Debian brings, and what does.
const ELSEWHERE: [(&str, &str); 6] = [
    (
        "bun",
        "Debian has no package of it: take it from its own site, or `npm install --global bun`",
    ),
    (
        "dotnet",
        "Debian has no package of it: Microsoft's has `dotnet-sdk`",
    ),
    ("pdm", "Debian has no package of it: `pipx install pdm`"),
    (
        "pnpm",
        "Debian has no package of it: `npm install --global pnpm`",
    ),
    ("uv", "Debian has no package of it: `pipx install uv`"),
    (
        "yarn",
        "Debian calls it `yarnpkg`, in the package of that name: `npm install --global yarn` gives it its own name",
    ),
];

/// How a host gets a program.
pub(crate) fn hint(program: &str) -> String {
    let found = |table: &[(&str, &'static str)]| {
        table
            .iter()
            .find(|(name, _)| *name == program)
            .map(|(_, text)| *text)
    };
    if let Some(how) = found(&ELSEWHERE) {
        return how.to_owned();
    }
    if program.starts_with("python3") {
        return format!("Debian's packages are `{program}` and `{program}-venv`");
    }
    match found(&PACKAGES) {
        Some(package) => format!("Debian's package is `{package}`"),
        None => format!("install the package that brings `{program}`"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_tool_has_a_way_to_the_host() {
        assert_eq!(hint("node"), "Debian's package is `nodejs`");
        assert_eq!(
            hint("python3.12"),
            "Debian's packages are `python3.12` and `python3.12-venv`"
        );
        assert!(hint("pnpm").contains("npm install"));
        assert!(hint("nonesuch").contains("brings `nonesuch`"));
    }
}
