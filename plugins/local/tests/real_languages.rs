//! Small real apps in further languages, built by the tools that this machine has, without any registry: what they depend on lies in the
//! source or in an index that the test makes. A case whose tool is missing prints so.
#![allow(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "a test may panic, and starts what was built"
)]

mod machine;

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use hop3_plugin_testing::TestApp;
use machine::{app, author, build, has, plan, says, steps};

/// A server that ends with the test.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let group = format!("-{}", self.0.id());
        let ended = Command::new("kill").args(["-KILL", "--", &group]).status();
        assert!(
            ended.is_ok_and(|status| status.success()),
            "the server ends"
        );
        self.0.wait().unwrap();
    }
}

/// Starts the guessed command in a process group of its own, with what the artifact needs.
fn start(app: &TestApp, toolchain: &str) -> (Server, u16) {
    let port = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let runtime = plan(app, toolchain).runtime;
    let line = runtime.workers.into_values().next().unwrap();
    let mut command = Command::new("/bin/sh");
    command.args(["-c", &line]).current_dir(&app.paths.build);
    let temporary = app.paths.data.display().to_string();
    command
        .env("PORT", port.to_string())
        .env("TMPDIR", temporary);
    command.process_group(0);
    for (key, value) in &runtime.env {
        let app = app.paths.build.display().to_string();
        command.env(key.as_str(), value.replace("${app}", &app));
    }
    command.stdout(Stdio::null()).stderr(Stdio::null());
    (Server(command.spawn().unwrap()), port)
}

/// The status and the body of an answer, asked for until the server listens.
fn get(port: u16, path: &str) -> (u16, String) {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        match TcpStream::connect(("127.0.0.1", port)) {
            Ok(mut stream) => {
                let request = format!("GET {path} HTTP/1.0\r\nHost: shop.test\r\n\r\n");
                stream.write_all(request.as_bytes()).unwrap();
                let mut answer = String::new();
                stream.read_to_string(&mut answer).unwrap();
                let status = answer.split_whitespace().nth(1).unwrap().parse().unwrap();
                let body = answer.split_once("\r\n\r\n").unwrap().1.to_owned();
                return (status, body);
            }
            Err(error) => assert!(Instant::now() < deadline, "nothing listens: {error}"),
        }
        std::thread::yield_now();
    }
}

#[tokio::test]
async fn php_serves_scripts_and_files_and_hides_the_rest() {
    let Some(app) = app(&["php"]) else { return };
    let app = app
        .file(
            "index.php",
            "<?php echo 'front ', $_SERVER['SCRIPT_NAME'], ' ', $_SERVER['REQUEST_URI'];",
        )
        .file("about.php", "<?php echo 'about';")
        .file(
            "shop/index.php",
            "<?php echo 'shop ', $_SERVER['SCRIPT_NAME'];",
        )
        .file(
            "count.php",
            "<?php session_start(); $_SESSION['n'] = 1; echo 'counted';",
        )
        .file("style.css", "body {}")
        .file(".env", "SECRET=1")
        .file("composer.lock", "{}")
        .file("vendor/acme/run.php", "<?php echo 'run';");
    build(&app, "php").await.unwrap();
    std::fs::create_dir_all(app.paths.build.join(".hop3/sessions")).unwrap();
    let (_server, port) = start(&app, "php");
    assert_eq!(get(port, "/"), (200, "front /index.php /".to_owned()));
    assert_eq!(
        get(port, "/nowhere/else.json?a=1"),
        (200, "front /index.php /nowhere/else.json?a=1".to_owned())
    );
    assert_eq!(get(port, "/about.php"), (200, "about".to_owned()));
    assert_eq!(
        get(port, "/shop/"),
        (200, "shop /shop/index.php".to_owned())
    );
    assert_eq!(get(port, "/count.php"), (200, "counted".to_owned()));
    assert_eq!(get(port, "/style.css"), (200, "body {}".to_owned()));
    for hidden in [
        "/.env",
        "/%2eenv",
        "/composer.lock",
        "/vendor/acme/run.php",
        "//vendor/acme/run.php",
        "/shop/../.env",
    ] {
        let (status, body) = get(port, hidden);
        assert!(
            status == 404 || body.starts_with("front "),
            "{hidden}: {status} {body}"
        );
    }
}

#[tokio::test]
async fn composer_installs_a_layer_and_makes_the_autoloader_offline() {
    let Some(app) = app(&["php", "composer", "tar"]) else {
        return;
    };
    let archive = app.source_directory().with_extension("tar");
    let app = app
        .file(
            "package/src/Greeting.php",
            "<?php namespace Acme; class Greeting { const TEXT = 'hello'; }",
        )
        .file(
            "src/Shop.php",
            "<?php namespace Shop; class Shop { const TEXT = \\Acme\\Greeting::TEXT . ' shop'; }",
        )
        .file(
            "public/index.php",
            "<?php require __DIR__ . '/../vendor/autoload.php'; echo \\Shop\\Shop::TEXT;",
        )
        .file(
            "composer.json",
            composer_json(&archive.display().to_string()),
        );
    let packed = author(
        &app,
        &["tar", "-cf", &archive.display().to_string(), "package"],
    );
    if !packed || !author(&app, &["composer", "update", "--no-install", "--quiet"]) {
        return;
    }
    build(&app, "php").await.unwrap();
    let made = steps(&app);
    assert_eq!(
        made[..2],
        ["check PHP and its extensions", "install packages"],
        "{made:?}"
    );
    assert_eq!(says(&app, "php public/index.php"), "hello shop");
    std::fs::remove_file(&archive).unwrap();
    let app = app.file(
        "src/Shop.php",
        "<?php namespace Shop; class Shop { const TEXT = 'changed'; }",
    );
    build(&app, "php").await.unwrap();
    assert_eq!(
        says(&app, "php public/index.php"),
        "changed",
        "without the archive the layer is there"
    );
}

fn composer_json(archive: &str) -> String {
    let package = format!(
        r#"{{ "name": "acme/greeting", "version": "1.0.0", "dist": {{ "type": "tar", "url": "file://{archive}" }}, "autoload": {{ "psr-4": {{ "Acme\\": "src/" }} }} }}"#
    );
    format!(
        r#"{{
  "require": {{ "php": ">=7.4", "acme/greeting": "1.0.0" }},
  "repositories": [{{ "packagist": false }}, {{ "type": "package", "package": {package} }}],
  "autoload": {{ "psr-4": {{ "Shop\\": "src/" }} }}
}}
"#
    )
}

#[tokio::test]
async fn bundler_installs_gems_in_a_layer_and_a_rack_app_finds_them() {
    let Some(app) = app(&["ruby", "bundle", "gem"]) else {
        return;
    };
    let index = app.source_directory().with_extension("gems");
    let app = app
        .file(
            "greeting.gemspec",
            "Gem::Specification.new { |s| s.name = 'greeting'; s.version = '1.2.3'; s.summary = 's'; s.authors = ['a']; s.files = ['lib/greeting.rb'] }\n",
        )
        .file("lib/greeting.rb", "module Greeting; VERSION = '1.2.3'; end\n")
        .file("app.rb", "require 'greeting'\nputs Greeting::VERSION\n")
        .file("Gemfile", format!("source \"file://{}\"\n\ngem \"greeting\"\n", index.display()));
    std::fs::create_dir_all(index.join("gems")).unwrap();
    let gem = index.join("gems/greeting-1.2.3.gem").display().to_string();
    let made = author(
        &app,
        &["gem", "build", "greeting.gemspec", "--output", &gem],
    ) && author(
        &app,
        &[
            "gem",
            "generate_index",
            "--directory",
            &index.display().to_string(),
        ],
    ) && author(&app, &["bundle", "lock"]);
    if made {
        let artifact = build(&app, "ruby").await.unwrap();
        assert_eq!(steps(&app), ["install gems"]);
        let layer = app.paths.app.join(&artifact.runtime.layers["bundle"]);
        let env = artifact.runtime.env.iter().map(|(key, value)| {
            format!(
                "{}='{}'",
                key,
                value.replace("${layer:bundle}", &layer.display().to_string())
            )
        });
        let env: Vec<String> = env.collect();
        let line = format!("env {} bundle exec ruby app.rb", env.join(" "));
        assert_eq!(says(&app, &line), "1.2.3");
    }
    std::fs::remove_dir_all(&index).unwrap();
}

#[tokio::test]
async fn mix_makes_a_release_that_runs() {
    let Some(app) = app(&["elixir", "mix"]) else {
        return;
    };
    let app = app
        .file(
            "mix.exs",
            "defmodule Shop.MixProject do\n  use Mix.Project\n\n  def project do\n    [app: :shop, version: \"1.0.0\", elixir: \"~> 1.10\", deps: []]\n  end\n\n  def application do\n    [extra_applications: [:logger]]\n  end\nend\n",
        )
        .file("lib/shop.ex", "defmodule Shop do\n  def hello, do: \"hello #{Application.spec(:shop, :vsn)}\"\nend\n");
    build(&app, "elixir").await.unwrap();
    assert_eq!(steps(&app), ["build the release"]);
    let tmp = app.paths.data.display();
    let line = format!(
        "env LANG=C.UTF-8 RELEASE_DISTRIBUTION=none RELEASE_TMP={tmp}/.release _build/prod/rel/shop/bin/shop eval 'Application.load(:shop); IO.puts(Shop.hello())'"
    );
    assert_eq!(says(&app, &line), "hello 1.0.0");
}

#[tokio::test]
async fn leiningen_makes_an_archive_that_is_found_and_runs() {
    let Some(app) = app(&["lein", "java"]) else {
        return;
    };
    let app = app
        .file(
            "project.clj",
            "(defproject shop \"1.0.0\"\n  :dependencies [[org.clojure/clojure \"1.11.1\"]]\n  :main shop.core\n  :profiles {:uberjar {:aot :all}})\n",
        )
        .file("src/shop/core.clj", "(ns shop.core (:gen-class))\n(defn -main [& args] (println \"shop\" (count args)))\n");
    match build(&app, "clojure").await {
        Ok(_) => {
            assert!(has(&app, "target/app.jar"));
            assert_eq!(says(&app, "java -jar target/app.jar a b"), "shop 2");
        }
        Err(error) => {
            let said = format!("{error:?}");
            assert!(
                said.contains("Could not transfer") || said.contains("Could not find"),
                "{said}"
            );
            println!("not run: the repositories of Leiningen are not reached");
        }
    }
}
