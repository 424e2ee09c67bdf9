//! Removing trees that somebody else changes meanwhile.

use std::fs;

use hop3_plugin_api::Host;

use super::{Machine, rows};
use crate::rows::row;

/// Exchanges a directory for a link to somebody else's and back, as fast as it can, until it is ended.
const EXCHANGER: &str = "import os, sys\n\
    tree, victim = sys.argv[1:]\n\
    print('ready', flush=True)\n\
    while True:\n\
    \x20   for step in (lambda: os.makedirs(tree + '/a/b/c'), lambda: os.rename(tree + '/a/b', tree + '/away'),\n\
    \x20                lambda: os.symlink(victim, tree + '/a/b'), lambda: os.unlink(tree + '/a/b'),\n\
    \x20                lambda: os.rename(tree + '/a', tree + '/gone'), lambda: os.symlink(victim, tree + '/a'),\n\
    \x20                lambda: os.unlink(tree + '/a')):\n\
    \x20       try:\n\
    \x20           step()\n\
    \x20       except OSError:\n\
    \x20           pass\n";

#[tokio::test]
async fn t38_a_tree_is_removed_ten_thousand_times_while_another_process_exchanges_its_directories()
{
    let machine = Machine::new();
    let (tree, victim) = (machine.path("tree"), machine.path("victim"));
    fs::create_dir_all(victim.join("c/deeper")).unwrap();
    fs::write(victim.join("c/file"), "whole").unwrap();
    let mut exchanger = std::process::Command::new("/usr/bin/python3")
        .args(["-c", EXCHANGER])
        .args([&tree, &victim])
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut ready = [0; 6];
    std::io::Read::read_exact(&mut exchanger.stdout.take().unwrap(), &mut ready).unwrap();
    let times = if rows::is_long() { 10_000 } else { 300 };
    let (mut removed, mut refused) = (0, 0);
    for _ in 0..times {
        fs::create_dir_all(tree.join("kept/inner")).ok();
        // What is written into it meanwhile may keep it from getting empty.
        match machine
            .host
            .remove_beneath(machine.root.path(), &tree)
            .await
        {
            Ok(()) => removed += 1,
            Err(_) => refused += 1,
        }
    }
    exchanger.kill().unwrap();
    exchanger.wait().unwrap();
    machine
        .host
        .remove_beneath(machine.root.path(), &tree)
        .await
        .unwrap();
    assert!(!tree.exists());
    assert_eq!(fs::read_to_string(victim.join("c/file")).unwrap(), "whole");
    assert!(victim.join("c/deeper").is_dir());
    assert_eq!(fs::read_dir(victim.join("c")).unwrap().count(), 2);
    let counts = [
        (
            times,
            "removals of a tree whose directories another process exchanges for links",
        ),
        (removed, "done"),
        (refused, "given up because the tree did not stay empty"),
        (0, "files touched behind a link"),
    ];
    row("T38", &counts);
}
