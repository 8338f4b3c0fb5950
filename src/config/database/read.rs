//! The two forms of a connection string, taken apart into names and values, each with its place in the text.

use crate::config::spelling::hint;

/// The parameters that a connection string may have, in libpq's words.
const NAMES: &str = "host hostaddr port dbname user password sslmode sslrootcert sslcert sslkey \
    target_session_attrs load_balance_hosts channel_binding application_name options connect_timeout \
    tcp_user_timeout keepalives keepalives_idle keepalives_interval";

/// Takes note of a value whose name is at this byte.
fn put(
    values: &mut Vec<(String, String)>,
    at: usize,
    name: &str,
    value: String,
) -> Result<(), String> {
    if !NAMES.split(' ').any(|known| known == name) {
        // It may be the rest of a password that should have been quoted.
        let shown = match values.iter().any(|(name, _)| name == "password") {
            true => String::new(),
            false => format!(" \"{name}\""),
        };
        let hint = match name {
            "passfile" | "service" => "it isn't supported; see database_password_file".to_owned(),
            _ => hint("", name, NAMES),
        };
        return Err(format!("{}: unknown parameter{shown}: {hint}", place(at)));
    }
    // As in libpq, the last one counts.
    values.retain(|(known, _)| known != name);
    values.push((name.to_owned(), value));
    Ok(())
}

fn place(at: usize) -> String {
    format!("at its byte {}", at + 1)
}

/// Reads `name = value …`, where a value with spaces is quoted.
pub(super) fn words(text: &str) -> Result<Vec<(String, String)>, String> {
    let mut values = Vec::new();
    let mut at = 0;
    loop {
        at += spaces(&text[at..]);
        if at == text.len() {
            return Ok(values);
        }
        let begin = at;
        let mut words = text[at..].split(['=', ' ', '\t', '\n']);
        let name = words.next().unwrap_or_default();
        at += name.len();
        at += spaces(&text[at..]);
        if !text[at..].starts_with('=') {
            return Err(format!(
                "{}: expected name=value, or postgresql://…; a value with spaces is written 'in quotes'",
                place(begin)
            ));
        }
        at += 1 + spaces(&text[at + 1..]);
        let (value, taken) = value(&text[at..])
            .ok_or_else(|| format!("{}: the quote that begins here never ends", place(at)))?;
        at += taken;
        put(&mut values, begin, name, value)?;
    }
}

fn spaces(text: &str) -> usize {
    text.len() - text.trim_start().len()
}

/// A value, quoted or not, and how many bytes it takes; None when its quote doesn't end.
fn value(text: &str) -> Option<(String, usize)> {
    let quoted = text.starts_with('\'');
    let mut value = String::new();
    let mut chars = text.char_indices().skip(usize::from(quoted));
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' => value.push(chars.next().map_or('\\', |(_, c)| c)),
            '\'' if quoted => return Some((value, at + 1)),
            c if !quoted && c.is_whitespace() => return Some((value, at)),
            c => value.push(c),
        }
    }
    (!quoted).then_some((value, text.len()))
}

/// Reads what follows `postgresql://`, which begins at this byte.
pub(super) fn url(rest: &str, begin: usize) -> Result<Vec<(String, String)>, String> {
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (authority, name) = rest.split_once('/').unwrap_or((rest, ""));
    if !authority.contains('@') && name.contains('@') {
        let why = "a / before the @ is written %2F";
        return Err(format!("{}: {why}", place(begin + authority.len())));
    }
    let (login, servers) = match authority.rsplit_once('@') {
        Some((login, servers)) => (Some(login), servers),
        None => (None, authority),
    };
    let mut values = Vec::new();
    let mut set = |at, name: &str, text: &str| -> Result<(), String> {
        match decoded(text) {
            Some(value) if value.is_empty() => Ok(()),
            Some(value) => put(&mut values, at, name, value),
            None => {
                let why = "has a % without two hexadecimal digits";
                Err(format!("{}: {name} {why}", place(at)))
            }
        }
    };
    let (mut hosts, mut ports) = (Vec::new(), Vec::new());
    for server in servers.split(',').filter(|server| !server.is_empty()) {
        let (host, port) = match server.strip_prefix('[').and_then(|v6| v6.split_once(']')) {
            Some((host, port)) => (host, port.strip_prefix(':').unwrap_or(port)),
            None => server.rsplit_once(':').unwrap_or((server, "")),
        };
        hosts.push(host);
        ports.push(if port.is_empty() { "5432" } else { port });
    }
    set(begin, "host", &hosts.join(","))?;
    set(begin, "port", &ports.join(","))?;
    if let Some(login) = login {
        let (user, password) = login.split_once(':').unwrap_or((login, ""));
        set(begin, "user", user)?;
        set(begin, "password", password)?;
    }
    set(begin + authority.len() + 1, "dbname", name)?;
    let mut at = begin + rest.len() + 1;
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair
            .split_once('=')
            .ok_or_else(|| format!("{}: expected name=value after ? and &", place(at)))?;
        // The JDBC driver's way to say it, which libpq takes too.
        let (name, value) = match (name, value) {
            ("ssl", "true") => ("sslmode", "require"),
            other => other,
        };
        set(at, name, value)?;
        at += pair.len() + 1;
    }
    Ok(values)
}

/// The text with what is percent-encoded decoded.
fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        if byte == b'%' {
            let digits = std::str::from_utf8(rest.get(..2)?).ok()?;
            bytes.push(u8::from_str_radix(digits, 16).ok()?);
            rest = &rest[2..];
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).ok()
}
