//! The rule for outgoing connections: which IP addresses are public, and which may be contacted.
//!
//! The rule is pure. It never resolves a name and never connects: [`crate::resolution`] applies it
//! to what a name resolved to, at the moment of use.
//!
//! It denies by default: of IPv6 only the global unicast block 2000::/3 is public (RFC 4291), minus
//! the blocks of it that the IANA registries keep for special purposes (RFC 6890); of IPv4
//! everything but those blocks. An IPv6 address that stands for an IPv4 one (v4-mapped, NAT64) is
//! judged as the IPv4 one; where such a form is obsolete (v4-compatible, 6to4, Teredo), it is refused
//! whatever it stands for.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use thiserror::Error;

/// What an address is for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Class {
    /// An address of the public Internet.
    Public,
    /// 127.0.0.0/8 (RFC 1122), ::1 (RFC 4291), and 127.0.0.0/8 in its v4-mapped form.
    Loopback,
    /// 0.0.0.0/8, "this network" (RFC 1122), and :: (RFC 4291). Linux takes 0.0.0.0 for loopback.
    Unspecified,
    /// 10.0.0.0/8, 172.16.0.0/12 and 192.168.0.0/16 (RFC 1918).
    Private,
    /// 100.64.0.0/10, between a carrier's NAT and its customers (RFC 6598).
    CarrierNat,
    /// 169.254.0.0/16 (RFC 3927) and fe80::/10 (RFC 4291). The clouds' metadata and credentials
    /// services live here: 169.254.169.254, and 169.254.170.2 for containers.
    LinkLocal,
    /// 192.0.0.0/24 and 2001::/23, for protocols of the IETF (RFC 6890, RFC 2928), Teredo's
    /// 2001::/32 among them (RFC 4380).
    ProtocolAssignment,
    /// 192.0.2.0/24, 198.51.100.0/24, 203.0.113.0/24 (RFC 5737), 2001:db8::/32 (RFC 3849) and
    /// 3fff::/20 (RFC 9637).
    Documentation,
    /// 198.18.0.0/15, for benchmarks of network devices (RFC 2544).
    Benchmarking,
    /// 224.0.0.0/4 (RFC 5771) and ff00::/8 (RFC 4291).
    Multicast,
    /// 255.255.255.255 (RFC 919).
    Broadcast,
    /// 240.0.0.0/4 (RFC 1112), and of IPv6 all that is not 2000::/3 and has no class of its own
    /// here (RFC 4291), such as the discard prefix 100::/64 (RFC 6666) and the segment
    /// identifiers 5f00::/16 (RFC 9602).
    Reserved,
    /// fc00::/7 (RFC 4193). AWS's metadata service fd00:ec2::254 is in it.
    UniqueLocal,
    /// fec0::/10, deprecated, but still somebody's private network (RFC 3879).
    SiteLocal,
    /// ::/96, deprecated v4-compatible addresses (RFC 4291).
    V4Compatible,
    /// 64:ff9b:1::/48, a translator of a network's own (RFC 8215).
    LocalTranslation,
    /// 2002::/16 (RFC 3056) and its relays' 192.88.99.0/24, obsolete (RFC 7526).
    SixToFour,
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Public => "a public address",
            Self::Loopback => "a loopback address",
            Self::Unspecified => "an unspecified address",
            Self::Private => "a private address",
            Self::CarrierNat => "a carrier's NAT address",
            Self::LinkLocal => "a link-local address",
            Self::ProtocolAssignment => "an address reserved for protocols",
            Self::Documentation => "a documentation address",
            Self::Benchmarking => "a benchmarking address",
            Self::Multicast => "a multicast address",
            Self::Broadcast => "the broadcast address",
            Self::Reserved => "a reserved address",
            Self::UniqueLocal => "a unique local address",
            Self::SiteLocal => "a site-local address",
            Self::V4Compatible => "a v4-compatible address",
            Self::LocalTranslation => "an address of a local translator",
            Self::SixToFour => "a 6to4 address",
        })
    }
}

/// The special blocks of IPv4: base, prefix length, class. The first that matches counts.
const V4_BLOCKS: [(Ipv4Addr, u32, Class); 17] = [
    (Ipv4Addr::new(0, 0, 0, 0), 8, Class::Unspecified),
    (Ipv4Addr::new(10, 0, 0, 0), 8, Class::Private),
    (Ipv4Addr::new(100, 64, 0, 0), 10, Class::CarrierNat),
    (Ipv4Addr::new(127, 0, 0, 0), 8, Class::Loopback),
    (Ipv4Addr::new(169, 254, 0, 0), 16, Class::LinkLocal),
    (Ipv4Addr::new(172, 16, 0, 0), 12, Class::Private),
    (Ipv4Addr::new(192, 0, 0, 0), 24, Class::ProtocolAssignment),
    (Ipv4Addr::new(192, 0, 2, 0), 24, Class::Documentation),
    (Ipv4Addr::new(192, 88, 99, 0), 24, Class::SixToFour),
    (Ipv4Addr::new(192, 168, 0, 0), 16, Class::Private),
    (Ipv4Addr::new(198, 18, 0, 0), 15, Class::Benchmarking),
    (Ipv4Addr::new(198, 51, 100, 0), 24, Class::Documentation),
    (Ipv4Addr::new(203, 0, 113, 0), 24, Class::Documentation),
    (Ipv4Addr::new(224, 0, 0, 0), 4, Class::Multicast),
    (Ipv4Addr::new(255, 255, 255, 255), 32, Class::Broadcast),
    (Ipv4Addr::new(240, 0, 0, 0), 4, Class::Reserved),
    (Ipv4Addr::new(0, 0, 0, 0), 0, Class::Public),
];

/// The blocks of IPv6, in the same form.
const V6_BLOCKS: [(Ipv6Addr, u32, Class); 15] = [
    (Ipv6Addr::LOCALHOST, 128, Class::Loopback),
    (Ipv6Addr::UNSPECIFIED, 128, Class::Unspecified),
    (Ipv6Addr::UNSPECIFIED, 96, Class::V4Compatible),
    (v6(0x64, 0xff9b, 1), 48, Class::LocalTranslation),
    (v6(0x2001, 0, 0), 23, Class::ProtocolAssignment),
    (v6(0x2001, 0xdb8, 0), 32, Class::Documentation),
    (v6(0x2002, 0, 0), 16, Class::SixToFour),
    (v6(0x3fff, 0, 0), 20, Class::Documentation),
    (v6(0x5f00, 0, 0), 16, Class::Reserved),
    (v6(0xfc00, 0, 0), 7, Class::UniqueLocal),
    (v6(0xfe80, 0, 0), 10, Class::LinkLocal),
    (v6(0xfec0, 0, 0), 10, Class::SiteLocal),
    (v6(0xff00, 0, 0), 8, Class::Multicast),
    (v6(0x2000, 0, 0), 3, Class::Public),
    (Ipv6Addr::UNSPECIFIED, 0, Class::Reserved),
];

const fn v6(a: u16, b: u16, c: u16) -> Ipv6Addr {
    Ipv6Addr::new(a, b, c, 0, 0, 0, 0, 0)
}

/// Says what an address is for.
#[must_use]
pub fn classify(address: IpAddr) -> Class {
    match address {
        IpAddr::V4(address) => classify_v4(address),
        IpAddr::V6(address) => match embedded_v4(address) {
            Some(Embedded::Mapped(inner)) => classify_v4(inner),
            // A translator's own loopback is not ours: permission for ours must not reach it.
            Some(Embedded::Translated(inner)) => match classify_v4(inner) {
                Class::Loopback => Class::LocalTranslation,
                class => class,
            },
            None => classify_v6(address),
        },
    }
}

/// An IPv4 address that an IPv6 address stands for, in a form that is in use.
enum Embedded {
    /// ::ffff:0:0/96 (RFC 4291): the system connects to the IPv4 address itself.
    Mapped(Ipv4Addr),
    /// 64:ff9b::/96 (RFC 6052): a NAT64 connects to it. Networks with IPv6 only reach all of IPv4
    /// this way, so it can't be refused as a whole.
    Translated(Ipv4Addr),
}

fn embedded_v4(address: Ipv6Addr) -> Option<Embedded> {
    let [.., a, b, c, d] = address.octets();
    let inner = Ipv4Addr::new(a, b, c, d);
    match address.segments() {
        [0, 0, 0, 0, 0, 0xffff, _, _] => Some(Embedded::Mapped(inner)),
        [0x64, 0xff9b, 0, 0, 0, 0, _, _] => Some(Embedded::Translated(inner)),
        _ => None,
    }
}

fn classify_v4(address: Ipv4Addr) -> Class {
    let bits = address.to_bits();
    V4_BLOCKS
        .iter()
        .find(|(base, length, _)| {
            (bits ^ base.to_bits())
                .checked_shr(32 - length)
                .unwrap_or(0)
                == 0
        })
        .map_or(Class::Reserved, |(_, _, class)| *class)
}

fn classify_v6(address: Ipv6Addr) -> Class {
    let bits = address.to_bits();
    V6_BLOCKS
        .iter()
        .find(|(base, length, _)| {
            (bits ^ base.to_bits())
                .checked_shr(128 - length)
                .unwrap_or(0)
                == 0
        })
        .map_or(Class::Reserved, |(_, _, class)| *class)
}

/// Which addresses a deployment lets its browsers and webhooks contact.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum AllowAddresses {
    /// Public addresses only: the setting `none` (no exception), and the default.
    #[default]
    PublicOnly,
    /// Public and loopback addresses: the setting `loopback`, for the stack on one machine.
    AndLoopback,
    /// Every address, the cloud's credentials service included: the setting `any`, for a closed
    /// network whose workflows are all trusted.
    Any,
}

impl AllowAddresses {
    /// Checks one address.
    ///
    /// # Errors
    /// [`Refused`] when the address may not be contacted; a caller gives up on that address.
    pub fn check(self, address: IpAddr) -> Result<(), Refused> {
        let class = classify(address);
        let allowed = match self {
            Self::PublicOnly => class == Class::Public,
            Self::AndLoopback => matches!(class, Class::Public | Class::Loopback),
            Self::Any => true,
        };
        if allowed {
            Ok(())
        } else {
            Err(Refused { address, class })
        }
    }
}

impl FromStr for AllowAddresses {
    type Err = UnknownAllowance;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "none" => Ok(Self::PublicOnly),
            "loopback" => Ok(Self::AndLoopback),
            "any" => Ok(Self::Any),
            _ => Err(UnknownAllowance),
        }
    }
}

/// A text that names no [`AllowAddresses`].
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[error("expected none, loopback or any")]
pub struct UnknownAllowance;

/// An address that may not be contacted. Its text leaves the address out, because customers read
/// it, and what a name resolves to inside our network is not for them.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[error("{class} may not be contacted")]
pub struct Refused {
    /// The address, for our own logs.
    pub address: IpAddr,
    /// What it is for.
    pub class: Class,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn class(text: &str) -> Class {
        classify(text.parse().expect("an address"))
    }

    #[test]
    fn each_block_is_classified_at_both_of_its_ends() {
        for (text, expected) in [
            ("0.0.0.0", Class::Unspecified),
            ("0.255.255.255", Class::Unspecified),
            ("1.0.0.0", Class::Public),
            ("9.255.255.255", Class::Public),
            ("10.0.0.0", Class::Private),
            ("10.255.255.255", Class::Private),
            ("11.0.0.0", Class::Public),
            ("100.63.255.255", Class::Public),
            ("100.64.0.0", Class::CarrierNat),
            ("100.127.255.255", Class::CarrierNat),
            ("100.128.0.0", Class::Public),
            ("126.255.255.255", Class::Public),
            ("127.0.0.1", Class::Loopback),
            ("127.255.255.255", Class::Loopback),
            ("128.0.0.0", Class::Public),
            ("169.253.255.255", Class::Public),
            ("169.254.169.254", Class::LinkLocal),
            ("169.254.170.2", Class::LinkLocal),
            ("169.255.0.0", Class::Public),
            ("172.15.255.255", Class::Public),
            ("172.16.0.0", Class::Private),
            ("172.31.255.255", Class::Private),
            ("172.32.0.0", Class::Public),
            ("192.0.0.1", Class::ProtocolAssignment),
            ("192.0.1.0", Class::Public),
            ("192.0.2.255", Class::Documentation),
            ("192.88.99.1", Class::SixToFour),
            ("192.168.255.255", Class::Private),
            ("192.169.0.0", Class::Public),
            ("198.17.255.255", Class::Public),
            ("198.18.0.0", Class::Benchmarking),
            ("198.19.255.255", Class::Benchmarking),
            ("198.20.0.0", Class::Public),
            ("198.51.100.7", Class::Documentation),
            ("203.0.113.7", Class::Documentation),
            ("223.255.255.255", Class::Public),
            ("224.0.0.1", Class::Multicast),
            ("239.255.255.255", Class::Multicast),
            ("240.0.0.0", Class::Reserved),
            ("255.255.255.254", Class::Reserved),
            ("255.255.255.255", Class::Broadcast),
            ("::", Class::Unspecified),
            ("::1", Class::Loopback),
            ("::2", Class::V4Compatible),
            ("::8.8.8.8", Class::V4Compatible),
            ("::ffff:8.8.8.8", Class::Public),
            ("::ffff:127.0.0.1", Class::Loopback),
            ("::ffff:169.254.169.254", Class::LinkLocal),
            ("::ffff:0:8.8.8.8", Class::Reserved),
            ("64:ff9b::8.8.8.8", Class::Public),
            ("64:ff9b::10.0.0.1", Class::Private),
            ("64:ff9b::127.0.0.1", Class::LocalTranslation),
            ("64:ff9b:1::8.8.8.8", Class::LocalTranslation),
            ("64:ff9b:2::8.8.8.8", Class::Reserved),
            ("100::1", Class::Reserved),
            ("1fff:ffff::1", Class::Reserved),
            ("2000::1", Class::Public),
            ("2001::1", Class::ProtocolAssignment),
            ("2001:1ff:ffff::1", Class::ProtocolAssignment),
            ("2001:200::1", Class::Public),
            ("2001:db8::1", Class::Documentation),
            ("2001:4860:4860::8888", Class::Public),
            ("2002:808:808::1", Class::SixToFour),
            ("2600:1f18::1", Class::Public),
            ("3ffe::1", Class::Public),
            ("3fff::1", Class::Documentation),
            ("3fff:1000::1", Class::Public),
            ("4000::1", Class::Reserved),
            ("5f00::1", Class::Reserved),
            ("fbff::1", Class::Reserved),
            ("fc00::1", Class::UniqueLocal),
            ("fd00:ec2::254", Class::UniqueLocal),
            ("fe80::1", Class::LinkLocal),
            ("febf::1", Class::LinkLocal),
            ("fec0::1", Class::SiteLocal),
            ("ff02::1", Class::Multicast),
        ] {
            assert_eq!(class(text), expected, "{text}");
        }
    }

    #[test]
    fn an_allowance_widens_the_one_before_it() {
        let check = |allow: AllowAddresses, text: &str| {
            allow.check(text.parse().expect("an address")).is_ok()
        };
        let all = ["8.8.8.8", "127.0.0.1", "::1", "10.0.0.1", "0.0.0.0"];
        let allowed = |allow| all.map(|text| check(allow, text));
        assert_eq!(
            allowed(AllowAddresses::PublicOnly),
            [true, false, false, false, false]
        );
        assert_eq!(
            allowed(AllowAddresses::AndLoopback),
            [true, true, true, false, false]
        );
        assert_eq!(allowed(AllowAddresses::Any), [true; 5]);
    }

    #[test]
    fn a_refusal_tells_the_class_but_not_the_address() {
        let refused = AllowAddresses::PublicOnly
            .check("10.1.2.3".parse().expect("an address"))
            .expect_err("a private address");
        assert_eq!(
            refused.to_string(),
            "a private address may not be contacted"
        );
    }

    fn v6_forms(v4: Ipv4Addr) -> [Ipv6Addr; 6] {
        let bits = u128::from(v4.to_bits());
        let sixth = |base: Ipv6Addr| Ipv6Addr::from_bits(base.to_bits() | bits);
        [
            v4.to_ipv6_mapped(),
            sixth(v6(0x64, 0xff9b, 0)),
            sixth(v6(0x64, 0xff9b, 1)),
            sixth(Ipv6Addr::UNSPECIFIED),
            Ipv6Addr::from_bits(v6(0x2002, 0, 0).to_bits() | (bits << 80)),
            // Teredo holds the client's address inverted (RFC 4380).
            Ipv6Addr::from_bits(v6(0x2001, 0, 0).to_bits() | (bits ^ 0xffff_ffff)),
        ]
    }

    proptest! {
        #[test]
        fn a_refused_v4_address_is_refused_in_all_its_v6_forms(
            block in 0..V4_BLOCKS.len() - 1,
            host in any::<u32>(),
        ) {
            let (base, length, _) = V4_BLOCKS[block];
            let host = host.checked_shr(length).unwrap_or(0);
            let v4 = Ipv4Addr::from_bits(base.to_bits() | host);
            prop_assert!(AllowAddresses::PublicOnly.check(v4.into()).is_err());
            for form in v6_forms(v4) {
                // ::1 is the v4-compatible form of 0.0.0.1, and loopback: refused all the same.
                prop_assert!(AllowAddresses::PublicOnly.check(form.into()).is_err(), "{form}");
            }
        }

        #[test]
        fn a_public_v4_address_is_judged_alike_when_mapped_or_translated(bits in any::<u32>()) {
            let v4 = Ipv4Addr::from_bits(bits);
            let allowed = AllowAddresses::PublicOnly.check(v4.into()).is_ok();
            let [mapped, translated, others @ ..] = v6_forms(v4);
            for form in [mapped, translated] {
                prop_assert_eq!(AllowAddresses::PublicOnly.check(form.into()).is_ok(), allowed);
            }
            for form in others {
                prop_assert!(AllowAddresses::PublicOnly.check(form.into()).is_err(), "{}", form);
            }
        }

        #[test]
        fn permission_for_loopback_reaches_no_other_network(bits in any::<u128>()) {
            let address = IpAddr::V6(Ipv6Addr::from_bits(bits));
            let reached = AllowAddresses::AndLoopback.check(address).is_ok();
            let public = AllowAddresses::PublicOnly.check(address).is_ok();
            prop_assert!(reached == public || address.to_canonical().is_loopback());
        }
    }
}
