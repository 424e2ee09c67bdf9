//! The host of faults on a fake machine.

use super::*;
use crate::FakeHost;

fn file(host: &FakeHost) -> FileWrite {
    FileWrite::private(host.root().join("file"), "text")
}

#[tokio::test]
async fn effects_are_counted_and_reading_is_not() {
    let fake = Arc::new(FakeHost::new());
    let host = FaultHost::counting(fake.clone());
    host.write_atomic(file(&fake)).await.unwrap();
    host.read(&fake.root().join("file")).await.unwrap();
    host.free_port().await.unwrap();
    assert_eq!(host.count(), 1);
}

#[tokio::test]
async fn a_fault_before_leaves_nothing_and_a_fault_after_leaves_the_effect() {
    for (mode, done) in [(FaultMode::Before, false), (FaultMode::After, true)] {
        let fake = Arc::new(FakeHost::new());
        let host = FaultHost::failing(fake.clone(), 1, mode);
        let error = host.write_atomic(file(&fake)).await.unwrap_err();
        assert!(matches!(error, HostError::Injected(1)), "{error:?}");
        assert_eq!(fake.root().join("file").exists(), done, "{mode:?}");
        host.write_atomic(file(&fake)).await.unwrap();
    }
}

#[tokio::test]
async fn a_full_disk_takes_no_file_from_there_on_and_lets_go_of_every_one() {
    let fake = Arc::new(FakeHost::new());
    let root = fake.root().to_owned();
    let mode = FaultMode::TroubleFromThere(Trouble::NoSpace);
    let host = FaultHost::failing(fake.clone(), 2, mode);
    host.write_atomic(file(&fake)).await.unwrap();
    host.remove_beneath(&root, &root.join("file"))
        .await
        .unwrap();
    for _ in 0..2 {
        let error = host.write_atomic(file(&fake)).await.unwrap_err();
        let hint = error.hint().unwrap_or_default();
        assert_eq!(hint, "free space on this file system");
    }
}

#[tokio::test]
async fn an_effect_is_found_by_its_name_and_told_before_it_is_done() {
    let fake = Arc::new(FakeHost::new());
    let told = Arc::new(Mutex::new(Vec::new()));
    let (heard, root) = (Arc::clone(&told), fake.root().to_owned());
    let at = Point::Named {
        name: "write /file".to_owned(),
        occurrence: 2,
    };
    let mode = FaultMode::Before;
    let host = FaultHost::meeting(fake.clone(), Fault { at, mode })
        .beneath(root)
        .telling(move |name| heard.lock().unwrap().push(name.to_owned()))
        .disarmed();
    host.write_atomic(file(&fake)).await.unwrap();
    host.arm();
    host.write_atomic(file(&fake)).await.unwrap();
    host.write_atomic(file(&fake)).await.unwrap_err();
    assert_eq!(*told.lock().unwrap(), ["write /file", "write /file"]);
}
