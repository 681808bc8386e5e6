//! One visitor's network.

use std::net::IpAddr;

/// An IPv4 address, or the /64 of an IPv6 address, which is one subscriber's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Network {
    /// The whole address; also of one that is mapped into IPv6.
    V4([u8; 4]),
    /// The first half of one.
    V6([u8; 8]),
}

impl Network {
    /// The one this address is in.
    pub fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(v4) => Self::V4(v4.octets()),
            IpAddr::V6(v6) => {
                let octets = v6.octets();
                Self::V6(octets.first_chunk().copied().unwrap_or_default())
            }
        }
    }
}
