//! Where a request comes from: the peer, or whom the proxies that were named say that they forward for.

use std::net::{IpAddr, SocketAddr};

use actix_web::HttpRequest;
use actix_web::http::header::{FORWARDED, HeaderName};

use super::Shared;
use super::extract::list;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The address that a request comes from; `None` only where there is no socket.
pub(super) fn of(request: &HttpRequest, shared: &Shared) -> Option<IpAddr> {
    let peer = request.peer_addr()?.ip();
    let is_proxy = |ip: &IpAddr| shared.settings.behind_proxy.iter().any(|net| net.contains(ip));
    if !is_proxy(&peer) {
        return Some(peer);
    }
    let forwarded_for = list(request, &X_FORWARDED_FOR).map(|list| behind(peer, list.split(','), is_proxy));
    let forwarded = list(request, &FORWARDED).map(|list| behind(peer, list.split(',').filter_map(node), is_proxy));
    match (forwarded_for, forwarded) {
        // A proxy writes one of them; the other is whatever the client made up.
        (Some(one), Some(other)) if one != other => Some(peer),
        (one, other) => one.or(other).or(Some(peer)),
    }
}

/// The first address, from the server outwards, that is no proxy's. What cannot be read ends the way.
fn behind<'t>(peer: IpAddr, hops: impl Iterator<Item = &'t str>, is_proxy: impl Fn(&IpAddr) -> bool) -> IpAddr {
    let hops: Vec<&str> = hops.collect();
    let mut from = peer;
    for hop in hops.iter().rev() {
        let Some(ip) = address(hop) else { return from };
        from = ip;
        if !is_proxy(&ip) {
            return from;
        }
    }
    from
}

/// The `for` of one element of `Forwarded` (RFC 7239 §4).
fn node(element: &str) -> Option<&str> {
    let pair = |pair: &'_ str| -> Option<(usize, usize)> {
        let (name, _) = pair.split_once('=')?;
        name.trim().eq_ignore_ascii_case("for").then(|| (name.len() + 1, pair.len()))
    };
    element.split(';').find_map(|one| pair(one).and_then(|(start, end)| one.get(start..end)))
}

/// An address, perhaps with a port, in brackets or quotes.
fn address(text: &str) -> Option<IpAddr> {
    let text = text.trim().trim_matches('"');
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    bare.parse().ok().or_else(|| text.parse::<SocketAddr>().ok().map(|address| address.ip()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(hops: &str, expected: &str) {
        let is_proxy = |ip: &IpAddr| ip.to_string().starts_with("10.");
        let found = behind(IpAddr::from([10, 0, 0, 1]), hops.split(','), is_proxy);
        assert_eq!(found.to_string(), expected, "{hops}");
    }

    #[test]
    fn proxies_are_believed_and_nobody_else() {
        check("198.51.100.7", "198.51.100.7");
        check("203.0.113.9, 198.51.100.7", "198.51.100.7");
        check("203.0.113.9, 198.51.100.7, 10.0.0.2", "198.51.100.7");
        check("198.51.100.7:4711", "198.51.100.7");
        check("[2001:db8::1]:443, 10.0.0.2", "2001:db8::1");
        check("198.51.100.7, unknown", "10.0.0.1");
        check("", "10.0.0.1");
        check("10.0.0.3", "10.0.0.3");
    }

    #[test]
    fn an_element_of_forwarded_names_a_node() {
        for (element, expected) in [
            ("for=198.51.100.7;proto=https", Some("198.51.100.7")),
            ("proto=https; For=\"[2001:db8::1]:443\"", Some("2001:db8::1")),
            ("by=10.0.0.1", None),
        ] {
            let found = node(element).and_then(address).map(|ip| ip.to_string());
            assert_eq!(found.as_deref(), expected, "{element}");
        }
    }
}
