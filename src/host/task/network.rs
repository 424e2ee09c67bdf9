//! Leaving the machine's network for an empty one that has only a loopback interface.

use std::fs;
use std::io;

use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::{AddressFamily, SendFlags, SocketType, sendto, socket};
use rustix::thread::UnshareFlags;

/// Whether this process is now alone in a network of its own. `false`: nothing has changed.
pub(super) fn leave() -> bool {
    let alone = if rustix::process::geteuid().is_root() {
        unshare(UnshareFlags::NEWNET).is_ok()
    } else {
        leave_as_user().is_ok()
    };
    if alone {
        // Without it a test suite that talks to itself fails, and nothing else does.
        drop(raise_loopback());
    }
    alone
}

/// A user may leave the network only in a user namespace; inside it keeps its own numbers.
fn leave_as_user() -> io::Result<()> {
    let uid = rustix::process::geteuid().as_raw();
    let gid = rustix::process::getegid().as_raw();
    unshare(UnshareFlags::NEWUSER | UnshareFlags::NEWNET)?;
    fs::write("/proc/self/setgroups", "deny")?;
    fs::write("/proc/self/uid_map", format!("{uid} {uid} 1"))?;
    fs::write("/proc/self/gid_map", format!("{gid} {gid} 1"))
}

#[expect(
    deprecated,
    reason = "the replacement is unsafe for the sake of a flag that is not used here: the descriptor table stays shared"
)]
fn unshare(flags: UnshareFlags) -> io::Result<()> {
    Ok(rustix::thread::unshare(flags)?)
}

/// `ip link set lo up`, as one netlink message: a header of 16 bytes (length, type, flags, sequence, port), then the interface's (family,
/// type, index, flags, mask).
fn raise_loopback() -> io::Result<()> {
    const NEW_LINK: u16 = 16;
    const REQUEST: u16 = 1;
    const LOOPBACK: u32 = 1;
    const UP: u32 = 1;
    let netlink = socket(AddressFamily::NETLINK, SocketType::RAW, None)?;
    let mut message = Vec::with_capacity(32);
    message.extend(32_u32.to_ne_bytes());
    message.extend(NEW_LINK.to_ne_bytes());
    message.extend(REQUEST.to_ne_bytes());
    message.extend([0; 12]);
    for word in [LOOPBACK, UP, UP] {
        message.extend(word.to_ne_bytes());
    }
    sendto(
        netlink,
        &message,
        SendFlags::empty(),
        &SocketAddrNetlink::new(0, 0),
    )?;
    Ok(())
}
