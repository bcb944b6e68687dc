//! Commands to one server or to a cluster, within a time limit.

use std::time::Duration;

use redis::aio::ConnectionManager;
use redis::cluster_async::ClusterConnection;
use redis::{Cmd, FromRedisValue, Pipeline, RedisError, ScriptInvocation};
use tokio::time::timeout;

use crate::error::StoreError;

#[derive(Clone)]
pub(super) enum Connection {
    Single(ConnectionManager),
    Cluster(ClusterConnection),
}

pub(super) struct Connections {
    connection: Connection,
    limit: Duration,
}

/// Why a command did not get its answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    #[error("the server did not answer in time")]
    TimedOut,
    #[error("{0}")]
    Server(#[from] RedisError),
}

impl Connections {
    pub(super) fn new(connection: Connection, limit: Duration) -> Self {
        Self { connection, limit }
    }

    pub(super) async fn query<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, Failure> {
        self.in_time(async {
            match self.connection.clone() {
                Connection::Single(mut connection) => command.query_async(&mut connection).await,
                Connection::Cluster(mut connection) => command.query_async(&mut connection).await,
            }
        })
        .await
    }

    /// A script, all of whose keys are in one slot.
    pub(super) async fn invoke<T: FromRedisValue>(
        &self,
        script: &ScriptInvocation<'_>,
    ) -> Result<T, Failure> {
        self.in_time(async {
            match self.connection.clone() {
                Connection::Single(mut connection) => script.invoke_async(&mut connection).await,
                Connection::Cluster(mut connection) => script.invoke_async(&mut connection).await,
            }
        })
        .await
    }

    /// The last command is done with those before it; or after them, in a cluster, where they are
    /// on different nodes: one round trip, or two.
    pub(super) async fn after<T: FromRedisValue>(
        &self,
        before: [Option<Cmd>; 3],
        last: Cmd,
    ) -> Result<T, Failure> {
        self.in_time(async {
            match self.connection.clone() {
                Connection::Single(mut connection) => {
                    let mut pipeline = Pipeline::new();
                    pipeline.atomic();
                    for command in before.into_iter().flatten() {
                        pipeline.add_command(command).ignore();
                    }
                    pipeline.add_command(last);
                    let (answer,) = pipeline.query_async(&mut connection).await?;
                    Ok(answer)
                }
                Connection::Cluster(mut connection) => {
                    let [one, two, three] = before.map(|command| {
                        let mut connection = connection.clone();
                        async move {
                            match command {
                                Some(command) => command.query_async::<()>(&mut connection).await,
                                None => Ok(()),
                            }
                        }
                    });
                    tokio::try_join!(one, two, three)?;
                    last.query_async(&mut connection).await
                }
            }
        })
        .await
    }

    /// What each primary answers.
    pub(super) async fn on_each_primary(&self, command: &Cmd) -> Result<Vec<redis::Value>, Failure> {
        use redis::cluster_routing::{MultipleNodeRoutingInfo, RoutingInfo};

        self.in_time(async {
            match self.connection.clone() {
                Connection::Single(mut connection) => Ok(vec![command.query_async(&mut connection).await?]),
                Connection::Cluster(mut connection) => {
                    let all = RoutingInfo::MultiNode((MultipleNodeRoutingInfo::AllMasters, None));
                    // Without a policy: a map from addresses to answers.
                    let answers = connection.route_command(command.clone(), all).await?;
                    match answers {
                        redis::Value::Map(answers) => {
                            Ok(answers.into_iter().map(|(_, answer)| answer).collect())
                        }
                        redis::Value::Array(answers) => Ok(answers),
                        answer => Ok(vec![answer]),
                    }
                }
            }
        })
        .await
    }

    async fn in_time<T>(&self, work: impl Future<Output = Result<T, RedisError>>) -> Result<T, Failure> {
        match timeout(self.limit, work).await {
            Ok(answer) => Ok(answer?),
            Err(_) => Err(Failure::TimedOut),
        }
    }
}

impl Failure {
    /// The server has as much as it may.
    pub(super) fn is_full(&self) -> bool {
        self.has_code(&["OOM"])
    }

    /// Has the server refused the command, or one of several, for one of these reasons?
    fn has_code(&self, codes: &[&str]) -> bool {
        let Self::Server(error) = self else { return false };
        error.code().is_some_and(|code| codes.contains(&code))
            || error
                .clone()
                .into_server_errors()
                .is_some_and(|errors| errors.iter().any(|(_, error)| codes.contains(&error.code())))
    }

    /// Trying again may help.
    fn is_passing(&self) -> bool {
        const PASSING: [&str; 11] = [
            "OOM",
            "LOADING",
            "READONLY",
            "MISCONF",
            "BUSY",
            "TRYAGAIN",
            "CLUSTERDOWN",
            "MASTERDOWN",
            "NOREPLICAS",
            "MOVED",
            "ASK",
        ];
        let Self::Server(error) = self else { return true };
        error.is_io_error()
            || error.is_timeout()
            || error.is_connection_dropped()
            || error.is_connection_refusal()
            || error.is_cluster_error()
            || matches!(error.kind(), redis::ErrorKind::Client)
            || self.has_code(&PASSING)
    }
}

impl From<Failure> for StoreError {
    fn from(failure: Failure) -> Self {
        if failure.is_passing() { Self::unavailable(failure) } else { Self::other(failure) }
    }
}
