//! Which sockets listen at a port, asked of the kernel directly. The tables below `/proc/net` say it too, but between every connection of
//! the machine, which takes a busy one tens of milliseconds; they are read only where the kernel does not answer the question.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use rustix::net::netlink::{self, SocketAddrNetlink};
use rustix::net::sockopt::set_socket_timeout;
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, recv, sendto, socket_with,
};

/// The state of a socket that listens, in the kernel's numbers.
const LISTEN: u8 = 10;
/// `SOCK_DIAG_BY_FAMILY` of netlink's diagnosis of sockets.
const BY_FAMILY: u16 = 20;
/// A request for all that match.
const REQUEST_DUMP: u16 = 0x301;
/// The types of messages that end an answer.
const ERROR: u16 = 2;
const DONE: u16 = 3;
/// The kernel answers at once or not at all.
const TIMEOUT: std::time::Duration = std::time::Duration::from_secs(1);

const HEADER: usize = 16;
const REQUEST: usize = HEADER + 56;
/// Offsets in one socket's description: its port, its address, its inode.
const PORT: usize = 4;
const ADDRESS: usize = 8;
const INODE: usize = 68;
const DESCRIPTION: usize = 72;

/// The inodes of sockets that listen at the address itself, or at all addresses with its port.
pub(super) fn listeners(address: SocketAddr) -> io::Result<BTreeSet<u64>> {
    asked(address).or_else(|_| listed(address))
}

fn asked(address: SocketAddr) -> io::Result<BTreeSet<u64>> {
    let mut inodes = ask(AddressFamily::INET, address)?;
    inodes.extend(ask(AddressFamily::INET6, address)?);
    Ok(inodes)
}

fn ask(family: AddressFamily, address: SocketAddr) -> io::Result<BTreeSet<u64>> {
    let kernel = socket_with(
        AddressFamily::NETLINK,
        SocketType::RAW,
        SocketFlags::CLOEXEC,
        Some(netlink::SOCK_DIAG),
    )?;
    set_socket_timeout(&kernel, rustix::net::sockopt::Timeout::Recv, Some(TIMEOUT))?;
    let request = request(family, address.port());
    sendto(
        &kernel,
        &request,
        SendFlags::empty(),
        &SocketAddrNetlink::new(0, 0),
    )?;
    let mut inodes = BTreeSet::new();
    let mut buffer = vec![0; 32 * 1024];
    loop {
        let (length, _) = recv(&kernel, buffer.as_mut_slice(), RecvFlags::empty())?;
        if take(&buffer[..length], address, &mut inodes)? {
            return Ok(inodes);
        }
    }
}

/// A header (length, type, flags, sequence, sender), then family, protocol, two bytes, a set of states, and the socket: only its port is
/// given, in the network's order.
fn request(family: AddressFamily, port: u16) -> Vec<u8> {
    const TCP: u8 = 6;
    let mut message = Vec::with_capacity(REQUEST);
    message.extend(u32::try_from(REQUEST).unwrap_or_default().to_ne_bytes());
    message.extend(BY_FAMILY.to_ne_bytes());
    message.extend(REQUEST_DUMP.to_ne_bytes());
    message.extend([0; 8]);
    message.extend([family.as_raw().to_ne_bytes()[0], TCP, 0, 0]);
    message.extend((1_u32 << LISTEN).to_ne_bytes());
    message.extend(port.to_be_bytes());
    message.resize(REQUEST, 0);
    message
}

/// Takes what an answer says so far; true when it is complete.
fn take(mut answer: &[u8], address: SocketAddr, inodes: &mut BTreeSet<u64>) -> io::Result<bool> {
    let cut = || io::Error::from(io::ErrorKind::UnexpectedEof);
    while answer.len() >= HEADER {
        let length = word(answer, 0).and_then(|length| usize::try_from(length).ok());
        let length = length.filter(|length| (HEADER..=answer.len()).contains(length));
        let (message, rest) = answer.split_at(length.ok_or_else(cut)?);
        match u16::from_ne_bytes([message[4], message[5]]) {
            DONE => return Ok(true),
            ERROR => return Err(io::ErrorKind::Unsupported.into()),
            _ => inodes.extend(description(&message[HEADER..], address)),
        }
        let padding = length.map_or(0, |length| length.next_multiple_of(4) - length);
        answer = rest.get(padding..).unwrap_or_default();
    }
    Ok(false)
}

/// The inode of a described socket, if it listens where it is asked for.
fn description(socket: &[u8], wanted: SocketAddr) -> Option<u64> {
    if socket.len() < DESCRIPTION || socket[1] != LISTEN {
        return None;
    }
    let ip = if i32::from(socket[0]) == i32::from(AddressFamily::INET.as_raw()) {
        IpAddr::from(<[u8; 4]>::try_from(&socket[ADDRESS..ADDRESS + 4]).ok()?)
    } else {
        let ip = <[u8; 16]>::try_from(&socket[ADDRESS..ADDRESS + 16]).ok()?;
        IpAddr::from(Ipv6Addr::from(ip)).to_canonical()
    };
    let port = u16::from_be_bytes([socket[PORT], socket[PORT + 1]]);
    covers(SocketAddr::new(ip, port), wanted).then(|| word(socket, INODE).map(u64::from))?
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    let word = bytes.get(at..at + 4)?;
    Some(u32::from_ne_bytes(word.try_into().ok()?))
}

fn covers(local: SocketAddr, wanted: SocketAddr) -> bool {
    local.port() == wanted.port()
        && (local.ip() == wanted.ip().to_canonical() || local.ip().is_unspecified())
}

fn listed(address: SocketAddr) -> io::Result<BTreeSet<u64>> {
    let mut inodes = parse_listeners(&fs::read_to_string("/proc/net/tcp")?, address);
    if let Ok(six) = fs::read_to_string("/proc/net/tcp6") {
        inodes.extend(parse_listeners(&six, address));
    }
    Ok(inodes)
}

fn parse_listeners(table: &str, wanted: SocketAddr) -> BTreeSet<u64> {
    let inode = |line: &str| {
        let fields: Vec<&str> = line.split_ascii_whitespace().collect();
        let local = parse_address(fields.get(1)?)?;
        // State 0A is LISTEN.
        let listens = covers(local, wanted) && fields.get(3) == Some(&"0A");
        listens.then(|| fields.get(9)?.parse().ok())?
    };
    table.lines().skip(1).filter_map(inode).collect()
}

/// `0100007F:1F90`: groups of four bytes in the machine's order, then the port.
fn parse_address(text: &str) -> Option<SocketAddr> {
    let (ip, port) = text.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let mut bytes = Vec::with_capacity(16);
    for group in ip.as_bytes().chunks(8) {
        let group = u32::from_str_radix(std::str::from_utf8(group).ok()?, 16).ok()?;
        bytes.extend(group.to_ne_bytes());
    }
    let ip = match bytes.len() {
        4 => IpAddr::from(<[u8; 4]>::try_from(bytes).ok()?),
        16 => IpAddr::from(Ipv6Addr::from(<[u8; 16]>::try_from(bytes).ok()?)).to_canonical(),
        _ => return None,
    };
    Some(SocketAddr::new(ip, port))
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn the_kernel_and_its_tables_name_the_same_sockets() {
        for at in ["127.0.0.1:0", "0.0.0.0:0", "[::1]:0", "[::]:0"] {
            let Ok(listener) = TcpListener::bind(at) else {
                continue; // a machine without IPv6
            };
            let address = listener.local_addr().unwrap();
            let found = listed(address).unwrap();
            assert_eq!(found.len(), 1, "{at}");
            assert_eq!(listeners(address).unwrap(), found, "{at}");
            assert!(asked(address).is_ok_and(|asked| asked == found) || asked(address).is_err());
            drop(listener);
            assert!(listeners(address).unwrap().is_empty(), "{at}");
        }
    }

    #[test]
    fn an_answer_that_is_cut_off_is_an_error_and_no_panic() {
        let address = "127.0.0.1:80".parse().unwrap();
        for length in [0_u32, 15, 17, 400] {
            let mut answer = length.to_ne_bytes().to_vec();
            answer.resize(16, 0);
            assert!(take(&answer, address, &mut BTreeSet::new()).is_err());
        }
        assert_eq!(description(&[0; 40], address), None);
    }

    #[test]
    fn addresses_of_both_tables_are_read() {
        let four = parse_address("0100007F:1F90").unwrap();
        assert_eq!(four, "127.0.0.1:8080".parse().unwrap());
        let mapped = parse_address("0000000000000000FFFF00000100007F:1F90").unwrap();
        assert_eq!(mapped, "127.0.0.1:8080".parse().unwrap());
        assert!(
            parse_address("00000000000000000000000000000000:0050")
                .unwrap()
                .ip()
                .is_unspecified()
        );
    }
}
