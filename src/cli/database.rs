//! The database of a command: reached as the service would reach it, looked at, and what is wrong with it said.

use std::time::Duration;

use crate::config::{DatabaseSettings, StoreChoice, StoreKind};
use crate::store::StoreError;
use crate::store::open::CREDENTIAL;
use crate::store::postgres;
use crate::store::postgres::admin::Rows;
use crate::store::postgres::schema::{self, SchemaError, SchemaInit, SchemaState};
use crate::store::postgres::session::Session;
use crate::sys::exit::Failure;
use crate::sys::{credentials, user};

pub(super) const SERVICE_USER: &str = "cacheproxy";
/// The file that README has the credential come from.
const CREDENTIAL_FILE: &str = "/etc/cacheproxy/database-password";
/// The time that a command waits for the server.
const TIMEOUT: Duration = Duration::from_secs(10);
/// The time that it waits for another that makes the schema.
const INIT_TIMEOUT: Duration = Duration::from_secs(60);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NamedBy {
    Configuration,
    CommandLine,
}

pub(super) struct DatabaseAccess {
    settings: DatabaseSettings,
    /// True when the configuration itself has a password.
    exposed: bool,
}

impl DatabaseAccess {
    /// The way to the configured database; none when the store is another. Root goes on as the service's user,
    /// who is known there, unless the command line names the database. The choice then has the password too.
    pub(super) fn of(
        choice: &mut StoreChoice,
        named_by: NamedBy,
    ) -> Result<Option<DatabaseAccess>, Failure> {
        let StoreKind::Postgres(settings) = &mut choice.kind else {
            return Ok(None);
        };
        let exposed = settings.database.value("password").is_some();
        if settings.password_file.is_none() {
            settings.password_file = credentials::given(CREDENTIAL);
        }
        let service = user::named(SERVICE_USER)
            .filter(|_| user::effective() == 0 && named_by == NamedBy::Configuration);
        if let Some(service) = service {
            if settings.password_file.is_none() {
                // Root may read what systemd hands to the service.
                if let Ok(password) = std::fs::read_to_string(CREDENTIAL_FILE) {
                    let password = password.lines().next().unwrap_or_default();
                    settings.database = settings.database.with_password(password);
                }
            }
            user::become_user(&service).map_err(Failure::no_permission)?;
        }
        let settings = settings.clone();
        Ok(Some(DatabaseAccess { settings, exposed }))
    }

    pub(super) fn session(&self) -> Result<Session, Failure> {
        let file = self.settings.password_file.as_deref();
        let session = postgres::connect(self.settings.database.as_str(), file, TIMEOUT);
        session.map_err(|why| self.failed(why))
    }

    /// The rows of stored responses, which have to be of this version.
    pub(super) fn admin(&self) -> Result<Rows, Failure> {
        let mut session = self.session()?;
        let state = self.look(&mut session)?;
        if !state.current {
            return Err(unusable(&state));
        }
        let file = self.settings.password_file.as_deref();
        Rows::connect(&self.settings.database, file, TIMEOUT).map_err(|why| self.failed(why))
    }

    /// Makes the schema or brings it up to date, and tells which.
    pub(super) fn init(&self) -> Result<&'static str, Failure> {
        let mut session = self.session()?;
        session.set_deadline(std::time::Instant::now() + INIT_TIMEOUT);
        match schema::init(&mut session, self.settings.logged) {
            Ok(SchemaInit::Created) => Ok("made the schema \"cacheproxy\""),
            Ok(SchemaInit::Upgraded(_)) => Ok("brought the schema \"cacheproxy\" up to date"),
            Ok(SchemaInit::Current) => Ok("the schema \"cacheproxy\" is there and up to date"),
            Err(error) => match self
                .session()
                .and_then(|mut session| self.look(&mut session))
            {
                Ok(state) if state.version.is_none() || !state.may_write => Err(unusable(&state)),
                _ => Err(self.refused(&error)),
            },
        }
    }

    pub(super) fn look(&self, session: &mut Session) -> Result<SchemaState, Failure> {
        schema::look(session).map_err(|error| self.refused(&error))
    }

    /// Finds out whether the service could use it; gives what else is to be said.
    pub(super) fn check(&self) -> Result<Option<String>, Failure> {
        let state = self.look(&mut self.session()?)?;
        match (state.version, state.current) {
            (None, _) if state.may_create && !state.closed && !state.read_only => Ok(Some(
                "the database has no schema \"cacheproxy\" yet: it is made when the service first connects, \
                 or by `cacheproxy db init`"
                    .to_owned(),
            )),
            (Some(_), true) if state.may_write && !state.read_only => Ok(None),
            _ => Err(unusable(&state)),
        }
    }

    /// A note on a password that others may read, if it stands in the configuration.
    pub(super) fn exposed(&self) -> Option<&'static str> {
        self.exposed.then_some(
            "the password stands in the configuration, which every user may read: put it into a file of its \
             own, and name that by database_password_file",
        )
    }

    fn failed(&self, why: StoreError) -> Failure {
        // It is the network that says no.
        let absent = matches!(&why, StoreError::Database { reason, .. }
            if reason.contains("connecting to server") || reason.contains("no answer in time"));
        let host = self.settings.database.value("host");
        let advice = match host.is_none_or(|host| host.starts_with('/')) {
            _ if !absent => "",
            true => "; is PostgreSQL running on this machine (`systemctl status postgresql`)?",
            false => "; is \"database\" right, and may this machine connect there?",
        };
        Failure::unavailable(format!("{why}{advice}"))
    }

    fn refused(&self, error: &SchemaError) -> Failure {
        Failure::unavailable(format!("{}: {error}", self.settings.database.place()))
    }
}

/// The failure of a database of this state, and what to do.
fn unusable(state: &SchemaState) -> Failure {
    let SchemaState { user, database, .. } = state;
    if state.read_only {
        return Failure::unavailable(format!(
            "database {database} takes no writes: it is a standby, or default_transaction_read_only is on; name the \
             primary too, as in host=one,two"
        ));
    }
    match state.version {
        None if !state.closed => Failure::no_permission(format!(
            "database {database} has no schema \"cacheproxy\", and user {user} may not make one. Have the database's \
             owner do it: psql -d {database} -c 'CREATE SCHEMA cacheproxy AUTHORIZATION \"{user}\"', then run \
             `cacheproxy db init`"
        )),
        Some(version) if !state.current => Failure::unavailable(format!(
            "the schema \"cacheproxy\" of database {database} is of version {version}, which isn't this program's: \
             `cacheproxy db init` brings an older one up to date, and a newer one needs a newer cacheproxy"
        )),
        _ => Failure::no_permission(format!(
            "user {user} may not change what is in the schema \"cacheproxy\" of database {database}, which is another's: \
             connect as its owner"
        )),
    }
}
