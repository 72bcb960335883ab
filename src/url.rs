//! The parts of a URL. It accepts what [RFC 3986](https://www.rfc-editor.org/rfc/rfc3986) allows, and reads it as a browser
//! does.

use alloc::format;
use alloc::string::String;
use core::net::{Ipv4Addr, Ipv6Addr};

/// Why a text is not a URL for a request.
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
    /// The URL is not absolute, or it is for another protocol.
    #[error("it does not begin with `https://` or `http://`: pass the whole URL")]
    Scheme,
    /// The host is missing or not valid.
    #[error("it has no valid host after the `://`: put a host name or an IP address there")]
    Host,
    /// The port is not a number from 0 to 65535.
    #[error("its port is not a number from 0 to 65535: correct the port, or leave it out")]
    Port,
    /// The URL holds a character that is not allowed.
    #[error(
        "it holds a space, a backslash or another character that is not allowed in a URL: percent-encode the character, or use the ASCII name of the host"
    )]
    Character,
}

/// The parts of a URL, as written.
pub(crate) struct Url<'a> {
    scheme: &'a str,
    /// Everything after the `://`.
    rest: &'a str,
    pub(crate) has_user_info: bool,
    /// An IPv6 address in its brackets.
    pub(crate) host: &'a str,
    /// Empty, or the colon and the port; anything after an IPv6 address.
    pub(crate) port: &'a str,
    /// Empty, or `/` and what follows.
    pub(crate) path: &'a str,
    pub(crate) query: Option<&'a str>,
    pub(crate) has_fragment: bool,
}

impl<'a> Url<'a> {
    /// The parts, and the value of the header `Host`: the host in lower case, with the port unless it is the scheme's default.
    pub(crate) fn parse(url: &'a str) -> Result<(Self, String), UrlError> {
        let (scheme, rest) = url.split_once("://").ok_or(UrlError::Scheme)?;
        let url = Self::split(scheme, rest);
        let host = url.check()?;
        Ok((url, host))
    }

    /// The parts of a text that had `://` between `scheme` and `rest`, not checked.
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

    /// Checks the URL, and returns the value of the header `Host`.
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

    /// Whether the host is this computer: `localhost`, or a loopback address in its usual form.
    pub(crate) fn is_loopback(&self) -> bool {
        let name = self.host.strip_suffix('.').unwrap_or(self.host);
        let address = self.host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        let address = address.and_then(|address| address.parse().ok());
        name.eq_ignore_ascii_case("localhost")
            || name.parse().is_ok_and(|address: Ipv4Addr| address.is_loopback())
            // `[::ffff:127.0.0.1]` leads there too.
            || address.is_some_and(|address: Ipv6Addr| address.to_canonical().is_loopback())
    }
}

fn cut(text: &str, mark: char) -> (&str, Option<&str>) {
    text.split_once(mark).map_or((text, None), |(before, behind)| (before, Some(behind)))
}

/// The characters that a host name and a path segment may hold.
fn is_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=".contains(&byte)
}

fn host_name(host: &str) -> Result<String, UrlError> {
    let name = host.to_ascii_lowercase();
    if name.is_empty() || !name.bytes().all(is_name) {
        return Err(UrlError::Host);
    }
    // A name that ends with a number is an address. Parsers disagree about unusual forms, so only the usual one is valid.
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

/// The port in the text after the host: nothing, a colon, or a colon and a number.
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
