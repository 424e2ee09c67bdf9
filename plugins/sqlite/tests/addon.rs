//! The addon on a fake machine with real database files: the helper's work is done by the engine itself.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::path::PathBuf;

use hop3_plugin_api::serde_json::{Value, json};
use hop3_plugin_api::{
    Addon as _, AddonInstance, AddonName, BackupId, Exit, ExitStatus, PluginName, Program, Task,
    UserId,
};
use hop3_plugin_sqlite::{SqliteAddon, SqliteSettings, answer};
use hop3_plugin_testing::{FaultHost, FaultMode, TestApp, conformance};
use rusqlite::Connection;

fn app() -> TestApp {
    let app = TestApp::new("shop");
    app.fake().on_run(serve);
    app
}

fn serve(task: &Task) -> Exit {
    assert_eq!(task.program, Program::Agent);
    assert_eq!(task.args, ["internal-sqlite"]);
    assert!(task.sandbox.enabled && !task.sandbox.network);
    Exit {
        status: ExitStatus::Code(0),
        tail: answer(task.input.as_ref().unwrap().expose()) + "\n",
    }
}

fn addon_with(settings: Value) -> AddonInstance {
    AddonInstance {
        kind: PluginName::parse("sqlite").unwrap(),
        name: AddonName::parse("main").unwrap(),
        settings,
    }
}

fn addon() -> AddonInstance {
    addon_with(json!({}))
}

fn file(app: &TestApp) -> PathBuf {
    app.paths.data.join("main.sqlite3")
}

fn fill(app: &TestApp, value: &str) {
    let database = Connection::open(file(app)).unwrap();
    database
        .execute_batch("CREATE TABLE IF NOT EXISTS t (v TEXT)")
        .unwrap();
    database
        .execute("INSERT INTO t VALUES (?1)", [value])
        .unwrap();
}

fn values(app: &TestApp) -> Vec<String> {
    let database = Connection::open(file(app)).unwrap();
    let mut query = database.prepare("SELECT v FROM t").unwrap();
    let rows = query.query_map([], |row| row.get(0)).unwrap();
    rows.map(Result::unwrap).collect()
}

#[tokio::test]
async fn it_keeps_the_promises_of_every_addon() {
    let app = app();
    conformance::addon::conforms(&SqliteAddon, &app.context(), &addon()).await;
}

#[test]
fn its_settings_are_a_proper_section() {
    conformance::section::conforms::<SqliteSettings>();
    assert!(
        SqliteAddon
            .accept(&addon_with(json!({ "plan": "small" })))
            .accepts()
    );
    let verdict = SqliteAddon.accept(&addon_with(json!({ "journal-mode": "memory" })));
    assert!(verdict.to_string().contains("journal-mode"), "{verdict}");
}

#[tokio::test]
async fn a_database_is_made_out_of_the_app_s_reach_and_given_to_its_user() {
    let mut app = app();
    app.user = Some(UserId { uid: 900, gid: 901 });
    SqliteAddon.create(&app.context(), &addon()).await.unwrap();
    insta::assert_snapshot!(app.transcript().join("\n"));
    let details = SqliteAddon
        .connection_details(&app.context(), &addon())
        .await
        .unwrap();
    let url = details["DATABASE_URL"].expose();
    assert_eq!(url, format!("sqlite:///{}", file(&app).display()));
    assert!(
        url.starts_with("sqlite:////"),
        "an absolute path follows the authority's slash"
    );
    assert_eq!(
        details["DATABASE_PATH"].expose(),
        file(&app).display().to_string()
    );
}

#[tokio::test]
async fn a_second_create_keeps_the_data() {
    let app = app();
    SqliteAddon.create(&app.context(), &addon()).await.unwrap();
    fill(&app, "kept");
    app.fake().take_transcript();
    SqliteAddon.create(&app.context(), &addon()).await.unwrap();
    assert_eq!(values(&app), ["kept"]);
    assert!(app.transcript().is_empty());
}

#[tokio::test]
async fn what_an_interrupted_create_left_is_finished() {
    let app = app();
    SqliteAddon.create(&app.context(), &addon()).await.unwrap();
    let stamp = app.paths.state.join("addon-main.json");
    let text = std::fs::read_to_string(&stamp).unwrap();
    remove(&file(&app));
    write(&stamp, &text.replace("\"ready\": true", "\"ready\": false"));
    SqliteAddon.create(&app.context(), &addon()).await.unwrap();
    assert!(file(&app).is_file());
    assert_eq!(std::fs::read_to_string(&stamp).unwrap(), text);
}

#[tokio::test]
async fn what_a_crash_left_beside_a_database_that_is_in_place_is_removed() {
    let app = app();
    SqliteAddon.create(&app.context(), &addon()).await.unwrap();
    let stamp = app.paths.state.join("addon-main.json");
    let text = std::fs::read_to_string(&stamp).unwrap();
    write(&stamp, &text.replace("\"ready\": true", "\"ready\": false"));
    let left = app.paths.state.join("addon-main.new");
    write(&left, "half a database");
    fill(&app, "kept");
    SqliteAddon.create(&app.context(), &addon()).await.unwrap();
    assert!(!left.exists());
    assert_eq!(values(&app), ["kept"]);
}

#[tokio::test]
async fn after_a_fault_at_any_effect_it_is_created_and_backed_up_by_trying_again() {
    for mode in [FaultMode::Before, FaultMode::After] {
        for at in 1.. {
            let app = app();
            let host = FaultHost::failing(app.host.clone(), at, mode);
            let mut cx = app.context();
            cx.machine.host = &host;
            let failed = SqliteAddon.create(&cx, &addon()).await.is_err()
                || SqliteAddon.backup(&cx, &addon()).await.is_err();
            if host.count() < at {
                break;
            }
            assert!(failed, "effect {at} failed and nobody noticed");
            let cx = app.context();
            SqliteAddon.create(&cx, &addon()).await.unwrap();
            SqliteAddon.backup(&cx, &addon()).await.unwrap();
            let left = std::fs::read_dir(app.dirs.data.join("backups/shop")).unwrap();
            let mut names = left.map(|entry| entry.unwrap().file_name().into_string().unwrap());
            assert!(
                names.all(|name| !name.contains("partial")),
                "after effect {at}"
            );
        }
    }
}

#[tokio::test]
async fn a_lost_database_is_not_replaced_by_an_empty_one_but_can_be_restored() {
    let app = app();
    let cx = app.context();
    SqliteAddon.create(&cx, &addon()).await.unwrap();
    fill(&app, "saved");
    let backup = SqliteAddon.backup(&cx, &addon()).await.unwrap();
    remove(&file(&app));
    let error = SqliteAddon.create(&cx, &addon()).await.unwrap_err();
    assert!(error.to_string().ends_with("is gone"), "{error}");
    assert_eq!(
        SqliteAddon.info(&cx, &addon()).await.unwrap().status,
        "missing"
    );
    SqliteAddon.restore(&cx, &addon(), &backup).await.unwrap();
    assert_eq!(values(&app), ["saved"]);
}

#[tokio::test]
async fn a_database_that_is_not_ours_is_neither_adopted_nor_destroyed() {
    let app = app();
    fill(&app, "foreign");
    let error = SqliteAddon
        .create(&app.context(), &addon())
        .await
        .unwrap_err();
    assert!(
        error.to_string().contains("was not made by this agent"),
        "{error}"
    );
    SqliteAddon.destroy(&app.context(), &addon()).await.unwrap();
    assert_eq!(values(&app), ["foreign"]);
    assert!(SqliteAddon.backup(&app.context(), &addon()).await.is_err());
}

#[tokio::test]
async fn a_stamp_of_another_installation_is_respected() {
    let app = app();
    SqliteAddon.create(&app.context(), &addon()).await.unwrap();
    let stamp = app.paths.state.join("addon-main.json");
    let text = std::fs::read_to_string(&stamp).unwrap();
    write(&stamp, &text.replace("test-install", "other"));
    for error in [
        SqliteAddon
            .create(&app.context(), &addon())
            .await
            .unwrap_err(),
        SqliteAddon
            .destroy(&app.context(), &addon())
            .await
            .unwrap_err(),
    ] {
        assert!(
            error.to_string().contains("another installation"),
            "{error}"
        );
    }
    assert!(
        SqliteAddon
            .observe(&app.host_context())
            .await
            .unwrap()
            .is_empty()
    );
    assert!(file(&app).is_file());
}

#[tokio::test]
async fn another_type_s_stamp_is_neither_taken_nor_observed() {
    let app = app();
    write(
        &app.paths.state.join("addon-main.json"),
        r#"{ "type": "other" }"#,
    );
    let error = SqliteAddon
        .create(&app.context(), &addon())
        .await
        .unwrap_err();
    assert!(error.to_string().contains("as another type"), "{error}");
    assert!(
        SqliteAddon
            .observe(&app.host_context())
            .await
            .unwrap()
            .is_empty()
    );
    write(&app.paths.state.join("addon-main.json"), "torn");
    assert!(SqliteAddon.observe(&app.host_context()).await.is_err());
}

#[tokio::test]
async fn a_backup_is_restored_only_where_nothing_would_be_lost() {
    let app = app();
    let cx = app.context();
    SqliteAddon.create(&cx, &addon()).await.unwrap();
    fill(&app, "one");
    let backup = SqliteAddon.backup(&cx, &addon()).await.unwrap();
    assert!(backup.0.starts_with("shop.main.1800000000-"), "{backup:?}");
    fill(&app, "two");
    let error = SqliteAddon
        .restore(&cx, &addon(), &backup)
        .await
        .unwrap_err();
    assert!(error.to_string().contains("holds data"), "{error}");
    assert_eq!(values(&app), ["one", "two"]);
    let unknown = BackupId("shop.main.1800000000-000000".to_owned());
    let error = SqliteAddon
        .restore(&cx, &addon(), &unknown)
        .await
        .unwrap_err();
    assert!(
        error.to_string().starts_with("there is no backup"),
        "{error}"
    );
    let path = BackupId("../../etc".to_owned());
    let error = SqliteAddon.restore(&cx, &addon(), &path).await.unwrap_err();
    assert!(error.to_string().contains("not a backup's id"), "{error}");
}

#[tokio::test]
async fn a_failed_backup_leaves_nothing_that_counts() {
    let app = app();
    let cx = app.context();
    SqliteAddon.create(&cx, &addon()).await.unwrap();
    write(
        &file(&app),
        "this is no database, but long enough to be looked at",
    );
    let error = SqliteAddon.backup(&cx, &addon()).await.unwrap_err();
    assert!(error.to_string().contains("damaged"), "{error}");
    let backups = app.dirs.data.join("backups/shop");
    assert_eq!(std::fs::read_dir(backups).unwrap().count(), 0);
    let info = SqliteAddon.info(&cx, &addon()).await.unwrap();
    assert!(info.status.starts_with("damaged"), "{info:?}");
}

#[tokio::test]
async fn its_state_is_told_without_a_secret() {
    let app = app();
    SqliteAddon.create(&app.context(), &addon()).await.unwrap();
    let info = SqliteAddon.info(&app.context(), &addon()).await.unwrap();
    assert_eq!(info.status, "ready");
    assert_eq!(info.size, Some(4096));
    assert_eq!(info.version.as_deref(), Some(rusqlite::version()));
    let error = SqliteAddon
        .rotate(&app.context(), &addon())
        .await
        .unwrap_err();
    assert!(error.to_string().contains("no credentials"), "{error}");
}

#[expect(clippy::disallowed_methods, reason = "a test loses a file")]
fn remove(path: &std::path::Path) {
    std::fs::remove_file(path).unwrap();
}

#[expect(clippy::disallowed_methods, reason = "a test changes a file")]
fn write(path: &std::path::Path, content: &str) {
    std::fs::write(path, content).unwrap();
}
