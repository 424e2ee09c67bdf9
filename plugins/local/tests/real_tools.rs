//! Real apps in several languages, built from their lock files by the tools and from the registries that this machine has. A case whose
//! tool or registry is missing prints why it was not run.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod machine;

use hop3_plugin_testing::TestApp;
use machine::{app, author, build, has, plan, says, steps};

const PACKAGE: &str = r#"{
  "name": "shop",
  "version": "1.0.0",
  "scripts": { "build": "node build.js", "start": "node dist/server.js" },
  "dependencies": { "is-number": "7.0.0" },
  "devDependencies": { "is-odd": "3.0.1" }
}
"#;

/// What is built can only be built with a development dependency, and only run with a dependency.
fn node(app: TestApp) -> TestApp {
    app.file("package.json", PACKAGE)
        .file(
            "build.js",
            "const fs = require('fs');\nfs.mkdirSync('dist', { recursive: true });\nconst odd = require('is-odd')(3);\nfs.writeFileSync('dist/server.js', `console.log('odd', ${odd}, 'number', require('is-number')('7'))\\n`);\n",
        )
}

/// Builds twice with a change in between that installs nothing.
async fn twice(app: TestApp, install: &str) -> TestApp {
    let first = build(&app, "node").await.unwrap();
    let made = steps(&app);
    assert!(made.contains(&install.to_owned()), "{made:?}");
    assert_eq!(says(&app, "node dist/server.js"), "odd true number true");
    assert!(has(&app, "node_modules/is-number"), "what runs is there");
    assert!(
        !has(&app, "node_modules/is-odd"),
        "what only the build needed is gone"
    );
    let app = app.file("README.md", "changed\n");
    let second = build(&app, "node").await.unwrap();
    let again = steps(&app);
    assert!(!again.contains(&install.to_owned()), "{again:?}");
    assert_eq!(says(&app, "node dist/server.js"), "odd true number true");
    assert_ne!(first.key, second.key);
    app
}

#[tokio::test]
async fn npm_installs_in_a_layer_builds_offline_and_leaves_what_runs() {
    let Some(app) = app(&["node", "npm"]) else {
        return;
    };
    let app = node(app);
    if author(&app, &["npm", "install", "--package-lock-only"]) {
        let app = twice(app, "install dependencies").await;
        let app = app.file(".npmrc", "engine-strict=true\n");
        build(&app, "node").await.unwrap();
        assert!(
            steps(&app).contains(&"install dependencies".to_owned()),
            "a setting of npm is part of the layer's key"
        );
    }
}

#[tokio::test]
async fn npm_refuses_a_lock_that_does_not_match() {
    let Some(app) = app(&["node", "npm"]) else {
        return;
    };
    let app = node(app);
    if author(&app, &["npm", "install", "--package-lock-only"]) {
        let app = app.file("package.json", PACKAGE.replace("7.0.0", "6.0.0"));
        let error = build(&app, "node").await.unwrap_err();
        let said = error.to_string();
        assert!(said.starts_with("`install dependencies: npm ci"), "{said}");
        assert!(!app.paths.build.exists(), "the failed build is gone");
    }
}

#[tokio::test]
async fn pnpm_installs_in_a_layer_builds_offline_and_leaves_what_runs() {
    let Some(app) = app(&["node", "pnpm"]) else {
        return;
    };
    let app = node(app);
    if author(&app, &["pnpm", "install", "--lockfile-only"]) {
        twice(app, "install dependencies").await;
    }
}

#[tokio::test]
async fn yarn_installs_in_a_layer_builds_offline_and_leaves_what_runs() {
    let Some(app) = app(&["node", "yarn"]) else {
        return;
    };
    // Yarn 1 does not read these settings; newer ones would not make a node_modules without them.
    let app = node(app).file(".yarnrc.yml", "nodeLinker: node-modules\n");
    if author(&app, &["yarn", "install"]) {
        remove(&app.source_directory().join("node_modules"));
        twice(app, "install dependencies").await;
    }
}

#[tokio::test]
async fn a_package_of_a_workspace_is_built_with_the_workspace_s_lock() {
    let Some(app) = app(&["node", "npm"]) else {
        return;
    };
    let app = app
        .file(
            "package.json",
            r#"{ "name": "acme", "private": true, "workspaces": ["apps/*", "packages/*"] }"#,
        )
        .file(
            "apps/web/package.json",
            r#"{ "name": "web", "scripts": { "build": "node build.js", "start": "node server.js" }, "dependencies": { "ui": "*", "is-number": "7.0.0" }, "devDependencies": { "is-odd": "3.0.1" } }"#,
        )
        .file("apps/web/build.js", "require('fs').writeFileSync('server.js', `console.log(require('ui'), require('is-number')(1), ${require('is-odd')(3)})\\n`)\n")
        .file("packages/ui/package.json", r#"{ "name": "ui", "version": "1.0.0", "main": "index.js" }"#)
        .file("packages/ui/index.js", "module.exports = 'ui';\n")
        .configure(|config| {
            let settings = hop3_plugin_api::serde_json::json!({ "directory": "apps/web" });
            config.plugin.insert("toolchains".to_owned(), settings);
        });
    if author(&app, &["npm", "install", "--package-lock-only"]) {
        let artifact = build(&app, "node").await.unwrap();
        assert_eq!(artifact.runtime.workdir, "apps/web");
        assert_eq!(says(&app, "cd apps/web && node server.js"), "ui true true");
        assert!(!has(&app, "node_modules/is-odd"));
    }
}

#[tokio::test]
async fn go_downloads_into_a_layer_and_compiles_offline() {
    let Some(app) = app(&["go"]) else { return };
    let app = app
        .file("go.mod", "module example.test/shop\n\ngo 1.21\n\nrequire github.com/google/uuid v1.6.0\n")
        .file(
            "cmd/web/main.go",
            "package main\n\nimport (\n\t\"fmt\"\n\n\t\"github.com/google/uuid\"\n)\n\nfunc main() {\n\tfmt.Println(uuid.NewSHA1(uuid.NameSpaceDNS, []byte(\"shop\")))\n}\n",
        );
    if author(&app, &["go", "mod", "tidy"]) {
        build(&app, "go").await.unwrap();
        assert_eq!(steps(&app), ["download modules", "build"]);
        assert_eq!(
            says(&app, "./bin/web"),
            "f3b5c84a-4408-5b74-9732-c65c40ac1c83"
        );
        let app = app.file("cmd/web/more.go", "package main\n");
        build(&app, "go").await.unwrap();
        assert_eq!(
            steps(&app),
            ["build"],
            "a change of the source alone downloads nothing"
        );
    }
}

#[tokio::test]
async fn cargo_compiles_offline_what_it_fetched_and_keeps_the_binary_alone() {
    let Some(app) = app(&["cargo"]) else { return };
    let app = app
        .file(
            "Cargo.toml",
            "[package]\nname = \"shop\"\nversion = \"0.1.0\"\nedition = \"2021\"\n\n[dependencies]\nitoa = \"1\"\n",
        )
        .file(
            "src/main.rs",
            "fn main() {\n    println!(\"shop {}\", itoa::Buffer::new().format(7));\n}\n",
        );
    if author(&app, &["cargo", "generate-lockfile"]) {
        build(&app, "rust").await.unwrap();
        assert_eq!(steps(&app), ["fetch crates", "build", "keep the binary"]);
        assert_eq!(says(&app, "./target/release/shop"), "shop 7");
        assert!(
            !has(&app, "target/release/deps"),
            "the release holds the binary alone"
        );
    }
}

const POM: &str = r#"<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>test.example</groupId>
  <artifactId>shop</artifactId>
  <version>1.0</version>
  <properties>
    <maven.compiler.source>11</maven.compiler.source>
    <maven.compiler.target>11</maven.compiler.target>
    <project.build.sourceEncoding>UTF-8</project.build.sourceEncoding>
  </properties>
  <build>
    <plugins>
      <plugin>
        <artifactId>maven-jar-plugin</artifactId>
        <configuration>
          <archive><manifest><mainClass>shop.App</mainClass></manifest></archive>
        </configuration>
      </plugin>
      <plugin>
        <artifactId>maven-source-plugin</artifactId>
        <version>3.3.0</version>
        <executions><execution><goals><goal>jar-no-fork</goal></goals></execution></executions>
      </plugin>
    </plugins>
  </build>
</project>
"#;

#[tokio::test]
async fn maven_packages_and_the_archive_that_runs_is_found() {
    let Some(app) = app(&["mvn", "java", "javac"]) else {
        return;
    };
    let app = app
        .file(
            "pom.xml",
            POM,
        )
        .file(
            "src/main/java/shop/App.java",
            "package shop;\n\npublic class App {\n    public static void main(String[] args) {\n        System.out.println(\"shop \" + args.length);\n    }\n}\n",
        );
    match build(&app, "java").await {
        Ok(_) => {
            assert!(has(&app, "target/shop-1.0-sources.jar"));
            let start = plan(&app, "java")
                .runtime
                .workers
                .into_values()
                .next()
                .unwrap();
            assert_eq!(
                start,
                "exec java -Djava.io.tmpdir=\"$TMPDIR\" $JAVA_OPTS -jar target/app.jar"
            );
            assert_eq!(says(&app, &format!("{start} a b")), "shop 2");
        }
        Err(error) => {
            let said = format!("{error} {error:?}");
            assert!(
                said.contains("could not be resolved") || said.contains("Could not transfer"),
                "{said}"
            );
            println!("not run: Maven's repository is not reached");
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "a test tidies its own source")]
fn remove(path: &std::path::Path) {
    std::fs::remove_dir_all(path).unwrap();
}
