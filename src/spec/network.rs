//! IPv4 networks as `[[ports]] source` names them.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};

/// An IPv4 network. Its address has no bits behind the prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Network {
    address: Ipv4Addr,
    prefix: u8,
}

/// Why a text is not a network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NotANetwork {
    /// It is one of IPv6.
    Six,
    /// The number after the slash is none from 0 to 32.
    Prefix,
    /// It is no address at all.
    Address,
}

impl Network {
    /// Reads `10.0.0.5/24` as `10.0.0.0/24`, and an address alone as that one machine.
    pub(crate) fn parse(text: &str) -> Result<Self, NotANetwork> {
        let (address, prefix) = text.split_once('/').unwrap_or((text, "32"));
        if address.parse::<Ipv6Addr>().is_ok() {
            return Err(NotANetwork::Six);
        }
        let address: Ipv4Addr = address.parse().map_err(|_| NotANetwork::Address)?;
        let digits = (1..=2).contains(&prefix.len()) && prefix.bytes().all(|b| b.is_ascii_digit());
        let prefix: u8 = prefix.parse().map_err(|_| NotANetwork::Prefix)?;
        if !digits || prefix > 32 {
            return Err(NotANetwork::Prefix);
        }
        let mask = u32::MAX.checked_shl(32 - u32::from(prefix)).unwrap_or(0);
        Ok(Self {
            address: Ipv4Addr::from_bits(address.to_bits() & mask),
            prefix,
        })
    }

    /// Its lowest address.
    pub fn address(&self) -> Ipv4Addr {
        self.address
    }

    /// How many leading bits its addresses share.
    pub fn prefix(&self) -> u8 {
        self.prefix
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_of_machines_are_masked_and_an_address_is_one_machine() {
        for (text, meant) in [
            ("10.0.0.5/24", "10.0.0.0/24"),
            ("192.0.2.7", "192.0.2.7/32"),
            ("203.0.113.9/0", "0.0.0.0/0"),
        ] {
            assert_eq!(
                Network::parse(text).map(|n| n.to_string()),
                Ok(meant.to_owned())
            );
        }
        for (text, why) in [
            ("fe80::1/64", NotANetwork::Six),
            ("::/0", NotANetwork::Six),
            ("10.0.0.0/33", NotANetwork::Prefix),
            ("10.0.0.0/+8", NotANetwork::Prefix),
            ("10.0.0.0/", NotANetwork::Prefix),
            ("10.0.0/8", NotANetwork::Address),
            ("office", NotANetwork::Address),
        ] {
            assert_eq!(Network::parse(text), Err(why), "{text}");
        }
    }
}
