use futures_channel::oneshot;
use rusqlite::Connection;

use super::failure::Failure;
use super::queue::Queue;

/// Work for a thread that has a connection, and its answer to whoever waits for it.
pub(in crate::store) trait Job: Send {
    /// May be called again when the transaction it ran in was undone.
    fn run(&mut self, connection: &Connection) -> rusqlite::Result<()>;

    fn answer(self: Box<Self>, outcome: Result<(), Failure>);

    /// True if nobody waits for the answer any more.
    fn is_abandoned(&self) -> bool;
}

struct Call<F, T> {
    work: F,
    output: Option<T>,
    reply: oneshot::Sender<Result<T, Failure>>,
}

impl<F, T> Job for Call<F, T>
where
    F: FnMut(&Connection) -> rusqlite::Result<T> + Send,
    T: Send,
{
    fn run(&mut self, connection: &Connection) -> rusqlite::Result<()> {
        self.output = Some((self.work)(connection)?);
        Ok(())
    }

    fn answer(self: Box<Self>, outcome: Result<(), Failure>) {
        let Self { output, reply, .. } = *self;
        // The caller may have given up.
        let _ = reply.send(outcome.and_then(|()| output.ok_or(Failure::Abandoned)));
    }

    fn is_abandoned(&self) -> bool {
        self.reply.is_canceled()
    }
}

/// Puts `work` into the queue and gives what will answer.
pub(super) fn submit<F, T>(queue: &Queue<Box<dyn Job>>, work: F) -> oneshot::Receiver<Result<T, Failure>>
where
    F: FnMut(&Connection) -> rusqlite::Result<T> + Send + 'static,
    T: Send + 'static,
{
    let (reply, answer) = oneshot::channel();
    if let Err(refused) = queue.push(Box::new(Call { work, output: None, reply })) {
        refused.answer(Err(Failure::Overloaded));
    }
    answer
}

/// Has `work` done and waits for the answer. A thread that panics drops it unanswered.
pub(super) async fn run<F, T>(queue: &Queue<Box<dyn Job>>, work: F) -> Result<T, Failure>
where
    F: FnMut(&Connection) -> rusqlite::Result<T> + Send + 'static,
    T: Send + 'static,
{
    submit(queue, work).await.unwrap_or(Err(Failure::Abandoned))
}
