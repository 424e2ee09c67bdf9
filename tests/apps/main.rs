//! Real tiny apps, one per language and way of declaring what it needs, brought up by the real agent with the real tools of this machine.
//!
//! A folder is an app as its author would commit it, with a `case.toml` that says what this test does to it. `docs/TOOLCHAINS.md` says how to
//! add one, and is written from what these tests print (`scripts/toolchains`).
#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::print_stderr,
    clippy::unwrap_used,
    reason = "these tests are the author and the visitor: they write files, run programs and read what is answered"
)]

mod author;
mod case;
mod cells;
mod engine;
mod machine;
mod registry;
#[path = "../it/support/mod.rs"]
mod support;
mod turn;
mod walk;

/// A test for each folder; `CASES` has them all.
macro_rules! cases {
    ($($name:ident => $folder:literal,)*) => {
        const CASES: &[(&str, &str)] = &[$((stringify!($name), $folder)),*];
        $(
            #[test]
            fn $name() {
                walk::walk($folder, stringify!($name));
            }
        )*
    };
}

cases! {
    clojure_with_leiningen_makes_one_archive => "clojure-lein",
    docker_builds_an_image_from_a_dockerfile => "docker-file",
    dotnet_publishes_a_web_app => "dotnet-web",
    elixir_becomes_a_release_of_mix => "elixir-release",
    go_builds_from_what_is_vendored => "go-vendored",
    go_builds_the_only_command_of_a_module => "go-cmd",
    go_downloads_what_the_module_requires => "go-module",
    java_with_maven_packages_an_archive_that_runs => "java-maven",
    node_builds_typescript_and_keeps_what_runs => "node-build",
    node_with_npm_installs_from_its_lock => "node-npm",
    node_with_pnpm_installs_from_its_lock => "node-pnpm",
    node_with_yarn_installs_from_its_lock => "node-yarn",
    php_scripts_are_served_as_they_are => "php-plain",
    php_with_composer_installs_from_its_lock => "php-composer",
    python_collects_the_static_files_of_django => "python-django",
    python_installs_what_pyproject_lists => "python-pyproject",
    python_with_assets_that_node_builds => "python-node-assets",
    python_with_pip_checks_the_hashes_of_requirements => "python-pip-hashes",
    python_with_pip_installs_pinned_requirements => "python-pip",
    python_with_poetry_installs_from_its_lock => "python-poetry",
    python_with_uv_installs_from_its_lock => "python-uv",
    ruby_with_bundler_serves_a_rack_app => "ruby-bundler",
    rust_builds_the_only_binary_of_a_package => "rust-single",
    rust_builds_the_only_binary_of_a_workspace => "rust-workspace",
    static_files_are_published_as_they_are => "static-plain",
    static_site_is_built_by_node_and_nothing_runs => "static-spa",
}

#[test]
fn every_folder_has_its_test_and_every_test_its_folder() {
    let mut listed: Vec<&str> = CASES.iter().map(|(_, folder)| *folder).collect();
    listed.sort_unstable();
    assert_eq!(case::folders(), listed);
}
