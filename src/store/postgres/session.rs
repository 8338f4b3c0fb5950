//! One connection to the database with its prepared statements: used by one thread at a time, with a deadline
//! for everything it does.
//!
//! What is overdue ends with its connection: the answer to a query that nobody waits for any more can't be
//! told from the next one's.

use std::collections::HashMap;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::pin;
use std::task::Poll;
use std::time::{Duration, Instant};

use postgres::types::ToSql;
use postgres::{Error, Row, Statement};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::runtime::Runtime;
use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use tokio_postgres::{AsyncMessage, Client, Connection, Notification};

/// What a statement is given.
pub type Parameters<'a> = [&'a (dyn ToSql + Sync)];

/// More notifications than this wait for nobody: then the connection ends, and with it what was not heard.
const NOTIFICATIONS: usize = 64 << 10;

/// A connection.
pub struct Session {
    driver: Driver,
    client: Client,
    statements: HashMap<&'static str, Statement>,
    notifications: mpsc::Receiver<Notification>,
    in_transaction: bool,
    since: Instant,
    /// Which host it is with, of those that are tried.
    pub host: usize,
    /// Whether the server took the connection for reading alone.
    pub read_only: bool,
}

/// What makes progress on the connection while somebody waits for it.
struct Driver {
    runtime: Option<Runtime>,
    connection: AbortHandle,
    deadline: Instant,
    overdue: bool,
}

impl Session {
    /// A session on a connection that stands. It makes progress only while this session is used.
    pub fn new<S, T>(runtime: Runtime, client: Client, connection: Connection<S, T>) -> Session
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
        T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (heard, notifications) = mpsc::channel(NOTIFICATIONS);
        let connection = runtime.spawn(converse(connection, heard)).abort_handle();
        Session {
            driver: Driver {
                runtime: Some(runtime),
                connection,
                deadline: Instant::now(),
                overdue: false,
            },
            client,
            statements: HashMap::new(),
            notifications,
            in_transaction: false,
            since: Instant::now(),
            host: 0,
            read_only: false,
        }
    }

    /// Gives everything that is done from now on until `deadline`.
    pub fn set_deadline(&mut self, deadline: Instant) {
        self.driver.deadline = deadline;
    }

    /// Since when it is connected.
    pub fn since(&self) -> Instant {
        self.since
    }

    /// Whether the connection can't be used any more.
    pub fn is_closed(&self) -> bool {
        self.driver.overdue || self.client.is_closed()
    }

    /// Whether it was closed because something took too long.
    pub fn is_overdue(&self) -> bool {
        self.driver.overdue
    }

    /// The rows of a statement, which is prepared at its first use.
    pub fn query(
        &mut self,
        sql: &'static str,
        parameters: &Parameters<'_>,
    ) -> Result<Vec<Row>, Error> {
        let statement = self.prepare(sql)?;
        self.driver.run(self.client.query(&statement, parameters))
    }

    /// The first row of a statement.
    pub fn query_first(
        &mut self,
        sql: &'static str,
        parameters: &Parameters<'_>,
    ) -> Result<Option<Row>, Error> {
        Ok(self.query(sql, parameters)?.into_iter().next())
    }

    /// Executes a statement; how many rows it changed.
    pub fn execute(
        &mut self,
        sql: &'static str,
        parameters: &Parameters<'_>,
    ) -> Result<u64, Error> {
        let statement = self.prepare(sql)?;
        self.driver.run(self.client.execute(&statement, parameters))
    }

    /// Executes a statement with each of these in turn, sent without waiting for one another's outcome.
    pub fn execute_each(
        &mut self,
        sql: &'static str,
        each: &[&Parameters<'_>],
    ) -> Result<(), Error> {
        let statement = self.prepare(sql)?;
        let (client, statement) = (&self.client, &statement);
        let mut under_way: Vec<_> = each
            .iter()
            .map(|parameters| Box::pin(client.execute(statement, parameters)))
            .collect();
        self.driver.run(poll_fn(move |task| {
            let mut failed = None;
            // Polled once, each of them is sent.
            under_way.retain_mut(|next| match next.as_mut().poll(task) {
                Poll::Pending => true,
                Poll::Ready(Ok(_)) => false,
                Poll::Ready(Err(error)) => {
                    failed.get_or_insert(error);
                    false
                }
            });
            match failed {
                Some(error) => Poll::Ready(Err(error)),
                None if under_way.is_empty() => Poll::Ready(Ok(())),
                None => Poll::Pending,
            }
        }))
    }

    /// Executes SQL as it stands, any number of statements, which is not prepared.
    pub fn batch(&mut self, sql: &str) -> Result<(), Error> {
        self.driver.run(self.client.batch_execute(sql))
    }

    /// Begins a transaction. One that is not committed is rolled back with whatever made it.
    pub fn begin(&mut self) -> Result<(), Error> {
        self.in_transaction = true;
        self.batch("BEGIN")
    }

    /// Commits the transaction.
    pub fn commit(&mut self) -> Result<(), Error> {
        self.batch("COMMIT")?;
        self.in_transaction = false;
        Ok(())
    }

    /// Rolls back what was begun and not committed.
    pub fn roll_back(&mut self) -> Result<(), Error> {
        if std::mem::take(&mut self.in_transaction) {
            self.batch("ROLLBACK")?;
        }
        Ok(())
    }

    /// The next notification, if there is one within this time. Fails when the connection ends.
    pub fn notification(&mut self, patience: Duration) -> io::Result<Option<Notification>> {
        let notifications = &mut self.notifications;
        let heard = self
            .driver
            .runtime()
            .block_on(async { tokio::time::timeout(patience, notifications.recv()).await });
        match heard {
            Ok(None) => Err(io::ErrorKind::ConnectionAborted.into()),
            Ok(notification) => Ok(notification),
            Err(_) => Ok(None),
        }
    }

    fn prepare(&mut self, sql: &'static str) -> Result<Statement, Error> {
        if let Some(statement) = self.statements.get(sql) {
            return Ok(statement.clone());
        }
        let statement = self.driver.run(self.client.prepare(sql))?;
        self.statements.insert(sql, statement.clone());
        Ok(statement)
    }
}

impl Driver {
    fn run<T>(&mut self, work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
        let until = tokio::time::Instant::from_std(self.deadline);
        let (done, overdue) = self.runtime().block_on(async {
            let mut work = pin!(work);
            tokio::select! {
                biased;
                done = &mut work => return (done, false),
                () = tokio::time::sleep_until(until) => {}
            }
            // Without its connection the work ends at once, with an error.
            self.connection.abort();
            (work.await, true)
        });
        self.overdue |= overdue;
        done
    }

    fn runtime(&self) -> &Runtime {
        // Taken only when the session is dropped.
        self.runtime.as_ref().expect("a session has its runtime")
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        // Dropping it in place is not allowed where an event loop runs.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// Drives the connection and passes on what the server says unasked.
async fn converse<S, T>(mut connection: Connection<S, T>, heard: mpsc::Sender<Notification>)
where
    S: AsyncRead + AsyncWrite + Unpin,
    T: AsyncRead + AsyncWrite + Unpin,
{
    while let Some(Ok(message)) = poll_fn(|task| connection.poll_message(task)).await {
        if let AsyncMessage::Notification(notification) = message {
            if heard.try_send(notification).is_err() {
                return;
            }
        }
    }
}
