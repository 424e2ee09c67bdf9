//! Which package of Debian and of Red Hat brings a tool, or how it is had where none does: for the hint of whoever misses one.

/// Programs with their packages: of Debian, and of Red Hat and its like where there is one.
const PACKAGES: [(&str, &str, &str); 23] = [
    ("bundle", "ruby-bundler", "rubygem-bundler"),
    ("cargo", "cargo", "cargo"),
    ("clojure", "clojure", "clojure"),
    ("composer", "composer", "composer"),
    ("docker", "docker.io", "moby-engine"),
    ("elixir", "elixir", "elixir"),
    ("git", "git", "git"),
    ("go", "golang-go", "golang"),
    ("gradle", "gradle", ""),
    ("java", "default-jre-headless", "java-21-openjdk-headless"),
    ("javac", "default-jdk-headless", "java-21-openjdk-devel"),
    ("lein", "leiningen", ""),
    ("make", "make", "make"),
    ("mix", "elixir", "elixir"),
    ("mvn", "maven", "maven"),
    ("node", "nodejs", "nodejs"),
    ("npm", "npm", "nodejs-npm"),
    ("php", "php-cli", "php-cli"),
    ("php-fpm", "php-fpm", "php-fpm"),
    ("pipenv", "pipenv", "pipenv"),
    ("poetry", "python3-poetry", "poetry"),
    ("ruby", "ruby", "ruby"),
    ("rustc", "rustc", "rust"),
];

/// Programs that no package of Debian brings, and what does.
const ELSEWHERE: [(&str, &str); 6] = [
    (
        "bun",
        "Debian has no package of it: take it from its own site, or `npm install --global bun`",
    ),
    (
        "dotnet",
        "Debian has no package of it: Microsoft's has `dotnet-sdk`, and Red Hat's is `dotnet-sdk-8.0`",
    ),
    ("pdm", "Debian has no package of it: `pipx install pdm`"),
    (
        "pnpm",
        "Debian has no package of it, Red Hat's is `pnpm`: `npm install --global pnpm`",
    ),
    (
        "uv",
        "Debian has no package of it, Red Hat's is `uv`: `pipx install uv`",
    ),
    (
        "yarn",
        "Debian and Red Hat call it `yarnpkg`, in the package of that name: `npm install --global yarn` gives it its own name",
    ),
];

/// How a host gets a program.
pub(crate) fn hint(program: &str) -> String {
    if let Some((_, how)) = ELSEWHERE.iter().find(|(name, _)| *name == program) {
        return (*how).to_owned();
    }
    if program.starts_with("python3") {
        return format!(
            "Debian's packages are `{program}` and `{program}-venv`, Red Hat's is `{program}`"
        );
    }
    match PACKAGES.iter().find(|(name, ..)| *name == program) {
        Some((_, debian, "")) => format!("Debian's package is `{debian}`"),
        Some((_, debian, red_hat)) => {
            format!("Debian's package is `{debian}`, Red Hat's is `{red_hat}`")
        }
        None => format!("install the package that brings `{program}`"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_tool_has_a_way_to_the_host() {
        assert_eq!(
            hint("ruby"),
            "Debian's package is `ruby`, Red Hat's is `ruby`"
        );
        assert_eq!(hint("lein"), "Debian's package is `leiningen`");
        assert_eq!(
            hint("python3.12"),
            "Debian's packages are `python3.12` and `python3.12-venv`, Red Hat's is `python3.12`"
        );
        assert!(hint("pnpm").contains("npm install"));
        assert!(hint("nonesuch").contains("brings `nonesuch`"));
    }
}
