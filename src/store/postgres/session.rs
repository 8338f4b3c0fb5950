//! One connection to the database with its prepared statements: used by one thread at a time, while the store's
//! own drives it, with a deadline for everything it does.
//!
//! Work that is overdue ends with its connection: the answer to a query that nobody waits for any more can't be
//! told from the next one's.

use std::collections::HashMap;
use std::future::poll_fn;
use std::io;
use std::ops::Deref;
use std::pin::pin;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use futures_util::future::try_join_all;
use postgres::types::ToSql;
use postgres::{Error, Row, Statement};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::mpsc;
use tokio::task::{AbortHandle, yield_now};
use tokio::time::{sleep_until, timeout};
use tokio_postgres::tls::MakeTlsConnect;
use tokio_postgres::{AsyncMessage, Client, Connection, Socket};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::notices::{News, Notices};

/// The parameters of a statement.
pub type Parameters<'a> = [&'a (dyn ToSql + Sync)];

/// A connection as it is driven, with TLS where that is used.
type Wire = Connection<Socket, <MakeRustlsConnect as MakeTlsConnect<Socket>>::Stream>;

/// More news than this waits for nobody: then the connection ends, and with it what was not read.
const NOTIFICATIONS: usize = 64 << 10;

/// The runtime of a store's connections, on one thread of its own; None once it is being dropped.
pub(super) struct Driver(Option<Runtime>);

impl Driver {
    pub(super) fn start() -> io::Result<Driver> {
        let mut one = Builder::new_multi_thread();
        let one = one.worker_threads(1).thread_name("postgres").enable_all();
        one.build().map(|runtime| Driver(Some(runtime)))
    }
}

impl Deref for Driver {
    type Target = Runtime;

    fn deref(&self) -> &Runtime {
        self.0.as_ref().expect("taken only when it is dropped")
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        // Dropping it in place is not allowed where an event loop runs.
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

/// A connection.
pub struct Session {
    driver: Arc<Driver>,
    connection: AbortHandle,
    pub(super) client: Client,
    statements: HashMap<&'static str, Statement>,
    /// The reader of notifications, once somebody listens to them.
    notices: Arc<OnceLock<Arc<Notices>>>,
    news: mpsc::Receiver<News>,
    deadline: Instant,
    /// True when it was closed because something took too long.
    pub(super) overdue: bool,
    in_transaction: bool,
    /// The time when it was connected.
    pub(super) since: Instant,
    /// The breaker's era when it was connected, for those of a pool.
    pub(super) era: u64,
    /// Held while it is one of its pool's.
    pub(super) counted: Option<Arc<()>>,
    /// The host that it is with, of those that are tried.
    pub(super) host: usize,
    /// True when the server took the connection for reading alone.
    pub(super) read_only: bool,
}

impl Session {
    /// A session on a connection that stands.
    pub(super) fn new(driver: Arc<Driver>, client: Client, connection: Wire) -> Session {
        let (heard, news) = mpsc::channel(NOTIFICATIONS);
        let notices = Arc::default();
        let conversation = converse(connection, Arc::clone(&notices), heard);
        Session {
            connection: driver.spawn(conversation).abort_handle(),
            driver,
            client,
            statements: HashMap::new(),
            notices,
            news,
            deadline: Instant::now(),
            overdue: false,
            in_transaction: false,
            since: Instant::now(),
            era: 0,
            counted: None,
            host: 0,
            read_only: false,
        }
    }

    /// Gives everything that is done from now on until `deadline`.
    pub fn set_deadline(&mut self, deadline: Instant) {
        self.deadline = deadline;
    }

    /// True when the connection can't be used any more.
    pub(super) fn is_closed(&self) -> bool {
        self.overdue || self.client.is_closed()
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

    /// The only row of a statement without parameters.
    pub(super) fn query_one(&mut self, sql: &'static str) -> Result<Row, Error> {
        let statement = self.prepare(sql)?;
        self.run(async |client| client.query_one(&statement, &[]).await)
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
    pub(super) fn execute_each<const N: usize>(
        &mut self,
        sql: &'static str,
        each: &[[&(dyn ToSql + Sync); N]],
    ) -> Result<(), Error> {
        let statement = self.prepare(sql)?;
        self.run(async |client| {
            let each = each.iter();
            try_join_all(each.map(|row| client.execute(&statement, row))).await?;
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
        if self.in_transaction {
            self.batch("ROLLBACK")?;
            self.in_transaction = false;
        }
        Ok(())
    }

    /// Has notifications read from now on, once.
    pub(super) fn hear(&mut self, notices: Arc<Notices>) {
        // A connection has one reader as long as it lasts.
        let _ = self.notices.set(notices);
    }

    /// The next news, if there is any within this time. Fails when the connection ends.
    pub(super) fn news(&mut self, within: Duration) -> Result<Option<News>, Error> {
        let news = &mut self.news;
        let next = async { timeout(within, news.recv()).await };
        match self.driver.block_on(next) {
            // Everything asked of it then fails for the reason.
            Ok(None) => self.batch("").map(|()| None),
            Ok(news) => Ok(news),
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
        self.driver.block_on(async {
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

impl Drop for Session {
    fn drop(&mut self) {
        // An answer that the server still owes is not waited for.
        self.connection.abort();
    }
}

/// Drives the connection and passes on what the server says unasked.
async fn converse(
    mut connection: Wire,
    notices: Arc<OnceLock<Arc<Notices>>>,
    heard: mpsc::Sender<News>,
) {
    while let Some(Ok(message)) = poll_fn(|task| connection.poll_message(task)).await {
        let AsyncMessage::Notification(notification) = message else {
            continue;
        };
        let Some(news) = notices.get().and_then(|it| it.read(&notification)) else {
            // What isn't believed takes no place of what is, nor the turn of another connection.
            yield_now().await;
            continue;
        };
        if heard.try_send(news).is_err() {
            return;
        }
    }
}
