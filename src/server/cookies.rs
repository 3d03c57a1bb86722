//! Cookies (RFC 7873) as RFC 9018 makes them: a client that sends ours back has received a reply at its address.
//!
//! The secret is this process's: after a restart clients are given new ones, which costs them nothing. Never: what a
//! cookie is good for.

use std::hash::Hasher;
use std::net::IpAddr;

use siphasher::sip::SipHasher24;

use crate::wire::Cookie;

/// RFC 9018 section 4.3: a cookie from the future is good for five minutes, ...
const AHEAD: u32 = 5 * 60;
/// ... an old one for an hour, ...
const GOOD: u32 = 3600;
/// ... and one that is half as old is replaced.
const FRESH: u32 = 1800;

/// Makes cookies and knows them again.
#[derive(Debug)]
pub struct Cookies {
    secret: [u8; 16],
}

impl Cookies {
    /// With a secret of its own.
    pub fn new() -> Self {
        // Keyed by the system's random numbers.
        let half = || std::hash::BuildHasher::hash_one(&std::hash::RandomState::new(), 0u8).to_ne_bytes();
        let mut secret = [0; 16];
        secret[..8].copy_from_slice(&half());
        secret[8..].copy_from_slice(&half());
        Self { secret }
    }

    /// Whether `client` sends a cookie that it was given; and the one that it is to keep from now on. `now`: seconds
    /// since 1970.
    pub fn judge(&self, client: IpAddr, cookie: &Cookie, now: u32) -> (bool, [u8; 16]) {
        if let Some(server) = cookie.server {
            let [1, 0, 0, 0, time @ ..] = *server.first_chunk::<8>().expect("sixteen octets") else {
                return (false, self.made(client, &cookie.client, now));
            };
            let time = u32::from_be_bytes(time);
            // Serial number arithmetic (RFC 1982): the clock of a cookie wraps in 2106.
            let age = now.wrapping_sub(time) as i32;
            let is_good = age >= -(AHEAD as i32) && age <= GOOD as i32;
            if is_good && self.made(client, &cookie.client, time) == server {
                let again = if age <= FRESH as i32 { server } else { self.made(client, &cookie.client, now) };
                return (true, again);
            }
        }
        (false, self.made(client, &cookie.client, now))
    }

    /// RFC 9018 section 4.4.
    fn made(&self, client: IpAddr, of_client: &[u8; 8], time: u32) -> [u8; 16] {
        let mut cookie = [0; 16];
        cookie[0] = 1;
        cookie[4..8].copy_from_slice(&time.to_be_bytes());
        let mut hash = SipHasher24::new_with_key(&self.secret);
        hash.write(of_client);
        hash.write(&cookie[..8]);
        match client {
            IpAddr::V4(v4) => hash.write(&v4.octets()),
            IpAddr::V6(v6) => hash.write(&v6.octets()),
        }
        cookie[8..].copy_from_slice(&hash.finish().to_le_bytes());
        cookie
    }
}

impl Default for Cookies {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn octets<const N: usize>(hex: &str) -> [u8; N] {
        let digit = |at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
        std::array::from_fn(|n| digit(2 * n))
    }

    /// RFC 9018 appendix A.
    #[test]
    fn as_in_the_rfc() {
        let cookies = Cookies { secret: octets("e5e973e5a6b2a43f48e7dc849e37bfcf") };
        let first = Cookie { client: octets("2464c4abcf10c957"), server: None };
        let client = "198.51.100.100".parse().unwrap();
        let made = octets("010000005cf79f111f8130c3eee29480");
        assert_eq!(cookies.judge(client, &first, 1_559_731_985), (false, made));
        // A.2, A.3: sent back, it is good, and replaced when it is old.
        let again = Cookie { client: octets("2464c4abcf10c957"), server: Some(made) };
        assert_eq!(cookies.judge(client, &again, 1_559_731_985 + 1800), (true, made));
        let renewed = octets("010000005cf7a871d4a564a1442aca77");
        assert_eq!(cookies.judge(client, &again, 1_559_734_385), (true, renewed));
        assert!(!cookies.judge(client, &again, 1_559_731_985 + 3601).0);
        assert!(!cookies.judge(client, &again, 1_559_731_985 - 301).0);
        assert!(!cookies.judge("198.51.100.101".parse().unwrap(), &again, 1_559_731_985).0);
        // A.4: an IPv6 client.
        let cookies = Cookies { secret: octets("dd3bdf9344b678b185a6f5cb60fca715") };
        let client = "2001:db8:220:1:59de:d0f4:8769:82b8".parse().unwrap();
        let first = Cookie {
            client: octets("22681ab97d52c298"),
            server: Some(octets("010000005cf7c57926556bd0934c72f8")),
        };
        let renewed = octets("010000005cf7c609a6bb79d16625507a");
        let other = Cookies { secret: octets("445536bcd2513298075a5d379663c962") };
        assert!(cookies.judge(client, &first, 1_559_741_961).0);
        assert_eq!(other.judge(client, &first, 1_559_741_961), (false, renewed));
    }

    #[test]
    fn forms_that_are_not_ours() {
        let cookies = Cookies::new();
        let client = "192.0.2.1".parse().unwrap();
        let mut cookie = Cookie { client: [7; 8], server: None };
        let (_, made) = cookies.judge(client, &cookie, 1000);
        cookie.server = Some(made);
        assert!(cookies.judge(client, &cookie, 1000).0);
        for at in 0..16 {
            let mut other = made;
            other[at] ^= 1;
            assert!(!cookies.judge(client, &Cookie { server: Some(other), ..cookie }, 1000).0, "{at}");
        }
        assert!(!cookies.judge(client, &Cookie { client: [8; 8], ..cookie }, 1000).0);
    }
}
