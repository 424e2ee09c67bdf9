//! What the worker may do, reduced before its first thread starts: credentials are a thread's, and threads inherit them.

use hop3_plugin_api::UserId;
use rustix::process::{Gid, Resource, Uid, getrlimit, setrlimit};
use rustix::thread::{
    CapabilitySet, CapabilitySets, set_capabilities, set_keep_capabilities, set_no_new_privs,
    set_thread_gid, set_thread_groups, set_thread_uid,
};

/// Uses every open file that the hard limit allows.
pub(super) fn raise_open_files() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit).ok();
}

/// How many files may be open.
pub(super) fn open_files() -> usize {
    let limit = getrlimit(Resource::Nofile).current;
    limit.map_or(usize::MAX, |most| {
        usize::try_from(most).unwrap_or(usize::MAX)
    })
}

/// Becomes the user, if there is one, and keeps nothing of root but reading files. No program can bring rights back.
pub(super) fn drop_to(user: Option<UserId>) -> Result<(), String> {
    set_no_new_privs(true).map_err(|e| format!("could not give up new privileges: {e}"))?;
    match user {
        Some(user) => change(user).map_err(|e| format!("could not become user {}: {e}", user.uid)),
        None => Ok(()),
    }
}

fn change(user: UserId) -> rustix::io::Result<()> {
    set_keep_capabilities(true)?;
    set_thread_groups(&[])?;
    set_thread_gid(Gid::from_raw(user.gid))?;
    set_thread_uid(Uid::from_raw(user.uid))?;
    let reading = CapabilitySet::DAC_READ_SEARCH;
    set_capabilities(
        None,
        CapabilitySets {
            effective: reading,
            permitted: reading,
            inheritable: CapabilitySet::empty(),
        },
    )
}
