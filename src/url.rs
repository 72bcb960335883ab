//! The parts of a URL, as a browser reads what [RFC 3986](https://www.rfc-editor.org/rfc/rfc3986) allows.

use alloc::format;
use alloc::string::String;
use core::net::{Ipv4Addr, Ipv6Addr};

/// Why a text is not a URL that a request can be sent to.
///
/// ```
/// use acs_common::UrlError;
/// use acs_common::connection_string::{ConnectionString, ConnectionStringError};
///
/// let refused = "endpoint=contoso.communication.azure.com;accesskey=c2VjcmV0".parse::<ConnectionString>();
/// assert_eq!(refused.unwrap_err(), ConnectionStringError::Endpoint(UrlError::Scheme));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UrlError {
    /// It is not absolute, or it is for another protocol.
    #[error("it does not begin with `https://` or `http://`: pass the whole URL")]
    Scheme,
    /// There is no host, or the host is not valid.
    #[error("it has no valid host after the `://`: put a host name or an IP address there")]
    Host,
    /// The port is not a number up to 65535.
    #[error("its port is not a number from 0 to 65535: correct the port, or leave it out")]
    Port,
    /// It holds a character that is not allowed in a URL.
    #[error(
        "it holds a space, a backslash or another character that is not allowed in a URL: percent-encode the character, or use the ASCII name of the host"
    )]
    Character,
}

/// The parts of a URL, as they are written.
pub(crate) struct Url<'a> {
    scheme: &'a str,
    /// All that follows the `://`.
    rest: &'a str,
    pub(crate) has_user_info: bool,
    /// An IPv6 address in its brackets.
    pub(crate) host: &'a str,
    /// Empty, or a colon and what follows; anything behind an IPv6 address.
    pub(crate) port: &'a str,
    /// Empty, or `/` and what follows.
    pub(crate) path: &'a str,
    pub(crate) query: Option<&'a str>,
    pub(crate) has_fragment: bool,
}

impl<'a> Url<'a> {
    /// The parts, and the host as the header `Host` has it: in lower case, with the port unless it is the scheme's own.
    pub(crate) fn parse(url: &'a str) -> Result<(Self, String), UrlError> {
        let (scheme, rest) = url.split_once("://").ok_or(UrlError::Scheme)?;
        let url = Self::split(scheme, rest);
        let host = url.check()?;
        Ok((url, host))
    }

    /// The parts of a text that had `://` between the two, unchecked.
    pub(crate) fn split(scheme: &'a str, rest: &'a str) -> Self {
        let (before, fragment) = cut(rest, '#');
        let (before, query) = cut(before, '?');
        let (authority, path) = before.split_at(before.find('/').unwrap_or(before.len()));
        let (user_info, authority) = match authority.rsplit_once('@') {
            Some((user_info, authority)) => (Some(user_info), authority),
            None => (None, authority),
        };
        let end = match authority.find(']') {
            Some(at) => at.saturating_add(1),
            None => authority.find(':').unwrap_or(authority.len()),
        };
        let (host, port) = authority.split_at(end);
        let (has_user_info, has_fragment) = (user_info.is_some(), fragment.is_some());
        Self { scheme, rest, has_user_info, host, port, path, query, has_fragment }
    }

    /// Whether a request can be sent to it; the header `Host`, if so.
    pub(crate) fn check(&self) -> Result<String, UrlError> {
        let own_port = match self.scheme {
            _ if self.is_https() => 443,
            scheme if scheme.eq_ignore_ascii_case("http") => 80,
            _ => return Err(UrlError::Scheme),
        };
        if !self.rest.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\') {
            return Err(UrlError::Character);
        }
        if !self.path.bytes().all(|byte| byte == b'/' || byte == b'%' || byte == b':' || byte == b'@' || is_name(byte))
        {
            return Err(UrlError::Character);
        }
        let host = match self.host.strip_prefix('[') {
            Some(address) => ip_v6(address.strip_suffix(']').ok_or(UrlError::Host)?)?,
            None => host_name(self.host)?,
        };
        Ok(match port_number(self.port)? {
            Some(port) if port != own_port => format!("{host}:{port}"),
            Some(_) | None => host,
        })
    }

    pub(crate) fn is_https(&self) -> bool {
        self.scheme.eq_ignore_ascii_case("https")
    }

    /// Whether its host is this machine: by name, or as an address in its usual form.
    #[cfg(feature = "entra")]
    pub(crate) fn is_loopback(&self) -> bool {
        let address = self.host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        self.host.eq_ignore_ascii_case("localhost")
            || self.host.parse().is_ok_and(|address: Ipv4Addr| address.is_loopback())
            || address.and_then(|address| address.parse().ok()).is_some_and(|address: Ipv6Addr| address.is_loopback())
    }
}

fn cut(text: &str, mark: char) -> (&str, Option<&str>) {
    text.split_once(mark).map_or((text, None), |(before, behind)| (before, Some(behind)))
}

/// What a host's name may hold, and a path's segment too.
fn is_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=".contains(&byte)
}

fn host_name(host: &str) -> Result<String, UrlError> {
    let name = host.to_ascii_lowercase();
    if name.is_empty() || !name.bytes().all(is_name) {
        return Err(UrlError::Host);
    }
    // What ends like a number is an address, and read in other ways by others if it is not in the usual form.
    let last = name.trim_end_matches('.').rsplit('.').next().unwrap_or_default();
    let numeric = last.bytes().all(|byte| byte.is_ascii_digit()) || last.starts_with("0x");
    if numeric && name.parse::<Ipv4Addr>().is_err() { Err(UrlError::Host) } else { Ok(name) }
}

fn ip_v6(address: &str) -> Result<String, UrlError> {
    let address: Ipv6Addr = address.parse().map_err(|_| UrlError::Host)?;
    Ok(match (address.to_ipv4_mapped(), address.segments()) {
        // A browser writes it without dots.
        (Some(_), [.., high, low]) => format!("[::ffff:{high:x}:{low:x}]"),
        (None, _) => format!("[{address}]"),
    })
}

/// Of what follows the host: nothing, a colon, or a colon and a number.
fn port_number(text: &str) -> Result<Option<u16>, UrlError> {
    match text.strip_prefix(':') {
        Some("") => Ok(None),
        Some(digits) if digits.bytes().all(|digit| digit.is_ascii_digit()) => {
            digits.parse().map(Some).map_err(|_| UrlError::Port)
        }
        None if text.is_empty() => Ok(None),
        Some(_) | None => Err(UrlError::Port),
    }
}
