//! Connection strings of PostgreSQL in libpq's two forms, `name=value …` and `postgresql://…`: read strictly, refused
//! with what is wrong and where, and shown without the password. Nothing is connected to here.

mod read;

use std::fmt;

/// The way to a database: a connection string that was read and found valid.
#[derive(Clone, PartialEq, Eq)]
pub struct Database {
    text: String,
    values: Vec<(String, String)>,
}

impl Database {
    /// Reads a connection string. The reason why it is refused never shows a password.
    pub fn parse(text: &str) -> Result<Database, String> {
        let scheme = ["postgresql://", "postgres://"];
        let values = match scheme.iter().find_map(|scheme| text.strip_prefix(scheme)) {
            Some(rest) => read::url(rest, text.len() - rest.len())?,
            None => read::words(text)?,
        };
        let text = text.to_owned();
        let database = Database { text, values };
        database.validate()?;
        Ok(database)
    }

    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Each name and its value, decoded; several hosts are lists with commas.
    fn values(&self) -> impl Iterator<Item = (&str, &str)> {
        (self.values.iter()).map(|(name, value)| (name.as_str(), value.as_str()))
    }

    pub fn value(&self, name: &str) -> Option<&str> {
        self.values()
            .find_map(|(known, value)| (known == name).then_some(value))
    }

    pub fn with_password(&self, password: &str) -> Database {
        let mut values = self.values.clone();
        values.retain(|(name, _)| name != "password");
        values.push(("password".to_owned(), password.to_owned()));
        let text = values.iter().map(|(name, value)| word(name, value));
        Database {
            text: text.collect::<Vec<_>>().join(" "),
            values,
        }
    }

    /// The string without its password, in the form `name=value …`.
    pub fn masked(&self) -> String {
        let shown = self.values().map(|(name, value)| match name {
            "password" => "password=…".to_owned(),
            _ => word(name, value),
        });
        shown.collect::<Vec<_>>().join(" ")
    }

    /// The database and its server, for a sentence.
    pub fn place(&self) -> String {
        let host = self.value("host").or_else(|| self.value("hostaddr"));
        let host = host.filter(|host| !host.is_empty()).unwrap_or("localhost");
        let user = self.value("user");
        let name = self.value("dbname").or(user).unwrap_or("the user's name");
        format!("{name} on {}", host.replace(',', ", "))
    }

    fn validate(&self) -> Result<(), String> {
        let one_of = |name: &str, allowed: &[&str]| match self.value(name) {
            Some(value) if !allowed.contains(&value) => Err(format!(
                "{name}={value}: expected one of {}",
                allowed.join(", ")
            )),
            _ => Ok(()),
        };
        let modes = ["disable", "prefer", "require", "verify-ca", "verify-full"];
        one_of("sslmode", &modes)?;
        one_of("target_session_attrs", &["any", "read-write", "read-only"])?;
        one_of("channel_binding", &["disable", "prefer", "require"])?;
        one_of("keepalives", &["0", "1"])?;
        let mut numbers = self.values().filter(|(name, _)| is_number(name));
        if let Some((name, value)) = numbers.find(|(_, value)| value.parse::<u32>().is_err()) {
            return Err(format!("{name}={value}: expected a whole number"));
        }
        let balance = self.value("load_balance_hosts");
        if let Some(value) = balance.filter(|value| *value != "disable") {
            return Err(format!(
                "load_balance_hosts={value}: it isn't supported; hosts are tried in the order in which they are named"
            ));
        }
        self.validate_servers()
    }

    /// Makes sure that there is a server, and that addresses and ports are as many as hosts.
    fn validate_servers(&self) -> Result<(), String> {
        let count = |name| self.value(name).map_or(0, |list| list.split(',').count());
        let (hosts, addresses) = (count("host"), count("hostaddr"));
        let servers = hosts.max(addresses);
        if servers == 0 {
            return Err(
                "it names no server: expected host=/run/postgresql or host=db1.example".to_owned(),
            );
        }
        if hosts.min(addresses) > 0 && hosts != addresses {
            return Err("expected as many addresses in hostaddr as there are hosts".to_owned());
        }
        let ports = self.value("port").unwrap_or_default();
        for port in ports.split(',').filter(|port| !port.is_empty()) {
            if !port.parse::<u16>().is_ok_and(|port| port > 0) {
                return Err(format!("port={port}: expected a number from 1 to 65535"));
            }
        }
        match ports.split(',').count() {
            count if count > 1 && count != servers => Err(format!(
                "port={ports}: expected one port, or one for each of the {servers} hosts"
            )),
            _ => Ok(()),
        }
    }
}

/// The service's own: a server on this machine, the user's own login, the database of the service's name.
impl Default for Database {
    fn default() -> Database {
        let values = [("host", "/run/postgresql"), ("dbname", "cacheproxy")];
        let values = values.map(|(name, value)| (name.to_owned(), value.to_owned()));
        Database {
            text: "host=/run/postgresql dbname=cacheproxy".to_owned(),
            values: values.to_vec(),
        }
    }
}

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Database({})", self.masked())
    }
}

fn word(name: &str, value: &str) -> String {
    let plain =
        !value.is_empty() && !value.contains(['\'', '\\']) && !value.contains(char::is_whitespace);
    if plain {
        return format!("{name}={value}");
    }
    let value = value.replace('\\', "\\\\").replace('\'', "\\'");
    format!("{name}='{value}'")
}

fn is_number(name: &str) -> bool {
    name.ends_with("_timeout") || name.starts_with("keepalives_")
}

#[cfg(test)]
mod tests;
