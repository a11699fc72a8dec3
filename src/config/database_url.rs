//! Which databases may be used: what a URL says, and what libpq would add to it.

use std::net::IpAddr;

/// A database elsewhere gets its password and every row over the network: TLS, or an explicit no. What a URL
/// leaves out, libpq takes from the environment.
pub(super) fn check(url: &str, environment: impl Fn(&str) -> Option<String>) -> Result<(), String> {
    match url.strip_prefix("sqlite:") {
        Some("") => return Err("--database-url: behind sqlite: expected the path of a file".to_owned()),
        // Such a file is nobody's, and each message about it would repeat what may be a password.
        Some(path) if is_url(path) => {
            return Err("--database-url: behind sqlite: expected the path of a file, not another URL".to_owned());
        }
        Some(_) => return Ok(()),
        None => {}
    }
    let Some(rest) = url.strip_prefix("postgres://").or_else(|| url.strip_prefix("postgresql://")) else {
        return Err("--database-url: expected sqlite:PATH or postgres://…".to_owned());
    };
    let authority = rest.split(['/', '?']).next().unwrap_or_default();
    check_form(rest, authority).map_err(|wrong| format!("--database-url: {wrong}"))?;
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let query = rest.split_once('?').map(|(_, query)| query).unwrap_or_default();
    let mut hosts: Vec<String> = host.split(',').map(|one| without_port(one).to_owned()).collect();
    let parameters: Vec<_> = form_urlencoded::parse(query.as_bytes()).collect();
    let parameter = |name: &str| parameters.iter().rfind(|(key, _)| key == name).map(|(_, value)| value.to_string());
    if parameter("service").or_else(|| environment("PGSERVICE")).is_some() {
        return Err("--database-url: a service (PGSERVICE) may name any host: name it in the URL".to_owned());
    }
    let mut others: Vec<String> = parameters
        .iter()
        .filter(|(name, _)| matches!(&**name, "host" | "hostaddr"))
        .map(|(_, value)| value.to_string())
        .collect();
    if host.is_empty() && parameter("host").is_none() {
        others.extend(environment("PGHOST"));
    }
    if parameter("hostaddr").is_none() {
        others.extend(environment("PGHOSTADDR"));
    }
    hosts.extend(others.iter().flat_map(|list| list.split(',')).map(str::to_owned));
    let mode = parameter("sslmode").or_else(|| environment("PGSSLMODE"));
    let local = |host: &String| {
        host.is_empty()
            || host.starts_with('/')
            || host == "localhost"
            || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
    };
    let strong = matches!(mode.as_deref(), Some("require" | "verify-ca" | "verify-full"));
    if strong && !cfg!(feature = "postgres-tls") {
        return Err("this build speaks no TLS to PostgreSQL: build it with --features postgres-tls (needs libssl-dev, pkg-config)".to_owned());
    }
    if hosts.iter().all(local) || strong || mode.as_deref() == Some("disable") {
        return Ok(());
    }
    Err("--database-url: a database on another host needs sslmode=require or stronger, or an explicit sslmode=disable"
        .to_owned())
}

/// Whether a path is a URL in the wrong place.
pub(super) fn is_url(path: &str) -> bool {
    path.contains("://")
}

/// Whether a path is like a URL, or a part of one, which may hold a password.
pub(super) fn may_hold_password(path: &str) -> bool {
    is_url(path) || path.contains('@')
}

/// Refuses what libpq could not read, or would read in another way: it repeats what it refuses.
fn check_form(rest: &str, authority: &str) -> Result<(), &'static str> {
    let is_encoded =
        |after: &str| after.get(..2).is_some_and(|two| two != "00" && two.bytes().all(|b| b.is_ascii_hexdigit()));
    if !rest.split('%').skip(1).all(is_encoded) {
        return Err("behind a % expected two hexadecimal digits: a % itself is written %25");
    }
    if authority.matches('@').count() > 1 {
        return Err("an @ in the name of the user or in the password is written %40");
    }
    for host in authority.rsplit('@').next().unwrap_or_default().split(',') {
        let port = match host.strip_prefix('[').map(|ip| ip.split_once(']')) {
            Some(Some((ip, ""))) if !ip.is_empty() => None,
            Some(Some((ip, port))) if !ip.is_empty() && port.starts_with(':') => port.get(1..),
            Some(_) => return Err("around an IPv6 address expected [ and ]"),
            None => host.split_once(':').map(|(_, port)| port),
        };
        if port.is_some_and(|port| !port.is_empty() && port.parse::<u16>().is_err()) {
            return Err("expected a number as the port: a : or / in the password is written %3A or %2F");
        }
    }
    Ok(())
}

fn without_port(host: &str) -> &str {
    if let Some(rest) = host.strip_prefix('[') {
        return rest.split(']').next().unwrap_or_default();
    }
    host.rsplit_once(':').map_or(host, |(host, _)| host)
}

#[cfg(test)]
mod tests {
    use super::check;

    #[test]
    fn a_database_elsewhere_needs_tls_or_an_explicit_no() {
        let plain = |url| check(url, |_| None);
        for good in [
            "sqlite:/var/lib/keyroll/keyroll.db",
            "postgres://u:p@127.0.0.1:5432/k",
            "postgres://localhost/k",
            "postgres://u@[::1]:5432/k",
            "postgres:///k?host=/run/postgresql",
            "postgres://db.example/k?sslmode=disable",
        ] {
            assert_eq!(plain(good), Ok(()), "{good}");
        }
        for bad in [
            "mysql://x",
            "postgres://db.example/k",
            "postgres://u:p@10.0.0.1/k?sslmode=prefer",
            "postgres:///k?host=db.example",
            "postgres:///k?host=db.example&host=/run/postgresql",
        ] {
            assert!(plain(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn what_libpq_could_not_read_is_refused_without_being_repeated() {
        for (url, wrong) in [
            ("postgres://u:Hunter2%zz@127.0.0.1/k", "behind a % expected two hexadecimal digits"),
            ("postgres://u:Hunter2%00@127.0.0.1/k", "behind a % expected two hexadecimal digits"),
            ("postgres://u:Hunter2%@127.0.0.1/k", "behind a % expected two hexadecimal digits"),
            ("postgres://127.0.0.1/k?password=Hunter2%4", "behind a % expected two hexadecimal digits"),
            ("postgres://u:Hunter2@[::1/k", "around an IPv6 address expected [ and ]"),
            ("postgres://u:Hunter2@[]/k", "around an IPv6 address expected [ and ]"),
            ("postgres://u:Hunter2@[::1]x/k", "around an IPv6 address expected [ and ]"),
            ("postgres://u:Hun@ter2@127.0.0.1/k", "an @ in the name of the user or in the password is written %40"),
            ("postgres://u:Hun/ter2@127.0.0.1/k", "expected a number as the port"),
            ("postgres://127.0.0.1:Hunter2/k", "expected a number as the port"),
            ("mysql://u:Hunter2@127.0.0.1/k", "expected sqlite:PATH or postgres://…"),
            ("Hunter2", "expected sqlite:PATH or postgres://…"),
        ] {
            let message = check(url, |_| None).unwrap_err();
            assert!(message.starts_with(&format!("--database-url: {wrong}")), "{url}: {message}");
            assert!(!message.contains("ter2"), "{message}");
        }
        for good in ["postgres://u:p%40x@127.0.0.1:/k", "postgres://[::1]/k", "postgres://127.0.0.1:1,[::1]:2/k"] {
            assert_eq!(check(good, |_| None), Ok(()), "{good}");
        }
    }

    #[test]
    fn what_a_url_leaves_out_may_be_in_the_environment() {
        let passes =
            |url: &str, name: &str, value: &str| check(url, |asked| (asked == name).then(|| value.to_owned())).is_ok();
        assert!(!passes("postgres:///k", "PGHOST", "db.example"));
        assert!(passes("postgres:///k", "PGHOST", "/run/postgresql"));
        assert!(passes("postgres://localhost/k", "PGHOST", "db.example"));
        assert!(!passes("postgres://localhost/k", "PGHOSTADDR", "10.0.0.1"));
        assert!(!passes("postgres:///k", "PGSERVICE", "other"));
        assert!(!passes("postgres:///k?service=other", "", ""));
        assert!(passes("postgres://db.example/k", "PGSSLMODE", "disable"));
        assert!(!passes("postgres://db.example/k?sslmode=prefer", "PGSSLMODE", "disable"));
    }
}
