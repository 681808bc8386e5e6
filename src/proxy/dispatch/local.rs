//! Runs hyper's HTTP/2 tasks on the path thread they belong to.

use hyper::rt::Executor;

/// Spawns onto the thread's own runtime; the futures need not be `Send`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LocalExecutor;

impl<F: Future<Output = ()> + 'static> Executor<F> for LocalExecutor {
    fn execute(&self, future: F) {
        drop(tokio::task::spawn_local(future));
    }
}
