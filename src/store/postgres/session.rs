//! One connection to the database with its prepared statements: used by one thread at a time, which drives it
//! meanwhile, with a deadline for everything it does. A thread that drove all of them would cost each statement two
//! changes of thread, which is as much as a short statement itself.
//!
//! Work that is overdue ends with its connection: the answer to a query that nobody waits for any more can't be
//! told from the next one's.

use std::collections::HashMap;
use std::future::poll_fn;
use std::io;
use std::pin::pin;
use std::time::{Duration, Instant};

use futures_util::future::try_join_all;
use postgres::types::ToSql;
use postgres::{Error, Row, Statement};
use tokio::runtime::Runtime;
use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use tokio::time::{sleep_until, timeout};
use tokio_postgres::tls::MakeTlsConnect;
use tokio_postgres::{AsyncMessage, Client, Connection, Notification, Socket};
use tokio_postgres_rustls::MakeRustlsConnect;

/// The parameters of a statement.
pub type Parameters<'a> = [&'a (dyn ToSql + Sync)];

/// A connection as it is driven, with TLS where that is used.
type Wire = Connection<Socket, <MakeRustlsConnect as MakeTlsConnect<Socket>>::Stream>;

/// More notifications than this wait for nobody: then the connection ends, and with it what was not heard.
const NOTIFICATIONS: usize = 64 << 10;

/// A connection.
pub struct Session {
    /// None once the session is being dropped.
    runtime: Option<Runtime>,
    connection: AbortHandle,
    client: Client,
    statements: HashMap<&'static str, Statement>,
    notifications: mpsc::Receiver<Notification>,
    deadline: Instant,
    overdue: bool,
    in_transaction: bool,
    since: Instant,
    /// The host that it is with, of those that are tried.
    pub(super) host: usize,
    /// True when the server took the connection for reading alone.
    pub(super) read_only: bool,
}

impl Session {
    /// A session on a connection that stands.
    pub(super) fn new(runtime: Runtime, client: Client, connection: Wire) -> Session {
        let (heard, notifications) = mpsc::channel(NOTIFICATIONS);
        Session {
            connection: runtime.spawn(converse(connection, heard)).abort_handle(),
            runtime: Some(runtime),
            client,
            statements: HashMap::new(),
            notifications,
            deadline: Instant::now(),
            overdue: false,
            in_transaction: false,
            since: Instant::now(),
            host: 0,
            read_only: false,
        }
    }

    /// Gives everything that is done from now on until `deadline`.
    pub fn set_deadline(&mut self, deadline: Instant) {
        self.deadline = deadline;
    }

    /// The time when it was connected.
    pub(super) fn since(&self) -> Instant {
        self.since
    }

    /// True when the connection can't be used any more.
    pub(super) fn is_closed(&self) -> bool {
        self.overdue || self.client.is_closed()
    }

    /// True when it was closed because something took too long.
    pub(super) fn is_overdue(&self) -> bool {
        self.overdue
    }

    /// True when others may use it after this.
    pub(super) fn is_clean(&self) -> bool {
        !self.is_closed() && !self.in_transaction
    }

    /// The rows of a statement, which is prepared at its first use.
    pub(super) fn query(
        &mut self,
        sql: &'static str,
        parameters: &Parameters<'_>,
    ) -> Result<Vec<Row>, Error> {
        let statement = self.prepare(sql)?;
        self.run(async |client| client.query(&statement, parameters).await)
    }

    /// The first row of a statement.
    pub fn query_first(
        &mut self,
        sql: &'static str,
        parameters: &Parameters<'_>,
    ) -> Result<Option<Row>, Error> {
        Ok(self.query(sql, parameters)?.into_iter().next())
    }

    /// Executes a statement; tells the number of rows that it changed.
    pub(super) fn execute(
        &mut self,
        sql: &'static str,
        parameters: &Parameters<'_>,
    ) -> Result<u64, Error> {
        let statement = self.prepare(sql)?;
        self.run(async |client| client.execute(&statement, parameters).await)
    }

    /// Executes a statement with each of these in turn, sent without waiting for one another's outcome.
    pub(super) fn execute_each(
        &mut self,
        sql: &'static str,
        each: &[&Parameters<'_>],
    ) -> Result<(), Error> {
        let statement = self.prepare(sql)?;
        self.run(async |client| {
            let each = each.iter();
            try_join_all(each.map(|parameters| client.execute(&statement, parameters))).await?;
            Ok(())
        })
    }

    /// Executes SQL as it stands, any number of statements, which is not prepared.
    pub(super) fn batch(&mut self, sql: &str) -> Result<(), Error> {
        self.run(async |client| client.batch_execute(sql).await)
    }

    /// Begins a transaction. One that is not committed is rolled back with whatever made it.
    pub(super) fn begin(&mut self) -> Result<(), Error> {
        self.in_transaction = true;
        self.batch("BEGIN")
    }

    /// Commits the transaction.
    pub(super) fn commit(&mut self) -> Result<(), Error> {
        self.batch("COMMIT")?;
        self.in_transaction = false;
        Ok(())
    }

    /// Rolls back what was begun and not committed.
    pub(super) fn roll_back(&mut self) -> Result<(), Error> {
        if std::mem::take(&mut self.in_transaction) {
            self.batch("ROLLBACK")?;
        }
        Ok(())
    }

    /// The next notification, if there is one within this time. Fails when the connection ends.
    pub(super) fn notification(&mut self, within: Duration) -> io::Result<Option<Notification>> {
        let notifications = &mut self.notifications;
        let next = async { timeout(within, notifications.recv()).await };
        match driving(&self.runtime).block_on(next) {
            Ok(None) => Err(io::ErrorKind::ConnectionAborted.into()),
            Ok(notification) => Ok(notification),
            Err(_) => Ok(None),
        }
    }

    fn prepare(&mut self, sql: &'static str) -> Result<Statement, Error> {
        if let Some(statement) = self.statements.get(sql) {
            return Ok(statement.clone());
        }
        let statement = self.run(async |client| client.prepare(sql).await)?;
        self.statements.insert(sql, statement.clone());
        Ok(statement)
    }

    fn run<T>(&mut self, work: impl AsyncFnOnce(&Client) -> Result<T, Error>) -> Result<T, Error> {
        let until = tokio::time::Instant::from_std(self.deadline);
        driving(&self.runtime).block_on(async {
            let mut work = pin!(work(&self.client));
            tokio::select! {
                biased;
                done = &mut work => return done,
                () = sleep_until(until) => {}
            }
            self.overdue = true;
            // Without its connection the work ends at once, with an error.
            self.connection.abort();
            work.await
        })
    }
}

fn driving(runtime: &Option<Runtime>) -> &Runtime {
    runtime.as_ref().expect("taken only when it is dropped")
}

impl Drop for Session {
    fn drop(&mut self) {
        // Dropping it in place is not allowed where an event loop runs.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// Drives the connection and passes on what the server says unasked.
async fn converse(mut connection: Wire, heard: mpsc::Sender<Notification>) {
    while let Some(Ok(message)) = poll_fn(|task| connection.poll_message(task)).await {
        if let AsyncMessage::Notification(notification) = message {
            if heard.try_send(notification).is_err() {
                return;
            }
        }
    }
}
