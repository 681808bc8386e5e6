//! The control socket: how a command reaches the gateway that runs. One JSON line each way.
//!
//! **Invariant:** the socket is never reachable by others, not even for the moment between making it
//! and narrowing its rights; only the holder of the data folder's lock makes it.

use std::{
    fs::Permissions,
    io,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::{UnixListener, UnixStream},
    sync::Semaphore,
    task::JoinHandle,
    time::{sleep, timeout},
};
use tracing::{debug, info, warn};
use zeroize::Zeroizing;

use super::{
    Desk, make_folder_of,
    order::{Order, Refusal, Reply},
};

/// Longest line: a token answer is far shorter, and lists of members come by the page.
const LINE_BYTES: u64 = 16 * 1024 * 1024;
/// Time to say what one wants.
const ORDER_TIME: Duration = Duration::from_secs(10);
/// Longest execution: a renewal with its lease and its save.
const REPLY_TIME: Duration = Duration::from_secs(120);
/// Commands at once.
const PLACES: u32 = 8;

/// The running socket. It is removed when stopped.
#[derive(Debug)]
pub struct Control {
    path: PathBuf,
    accepting: JoinHandle<()>,
    places: Arc<Semaphore>,
}

impl Control {
    /// Makes the socket at `path`, in the place of one that a killed process left.
    ///
    /// # Errors
    /// The folder or the socket cannot be made; a path of over 100 bytes is too long for the system.
    pub fn start(path: &Path, desk: Desk) -> io::Result<Self> {
        make_folder_of(path)?;
        let listener = bind_private(path)?;
        let places = Arc::new(Semaphore::new(PLACES as usize));
        let accepting = tokio::spawn(accept(listener, Arc::new(desk), Arc::clone(&places)));
        Ok(Self {
            path: path.to_owned(),
            accepting,
            places,
        })
    }

    /// Takes no more orders and waits for those under way.
    pub async fn stop(self) {
        self.accepting.abort();
        if let Err(error) = std::fs::remove_file(&self.path) {
            debug!(%error, "the control socket was gone already");
        }
        if timeout(REPLY_TIME, self.places.acquire_many(PLACES))
            .await
            .is_err()
        {
            warn!("a command was still under way");
        }
    }
}

/// Bound under another name, narrowed, then renamed: whoever finds it under its own name finds it
/// closed to others.
fn bind_private(path: &Path) -> io::Result<UnixListener> {
    let mut unready = path.as_os_str().to_owned();
    unready.push(".new");
    match std::fs::remove_file(&unready) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(&unready)?;
    std::fs::set_permissions(&unready, Permissions::from_mode(0o600))?;
    std::fs::rename(&unready, path)?;
    Ok(listener)
}

async fn accept(listener: UnixListener, desk: Arc<Desk>, places: Arc<Semaphore>) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                let Ok(place) = Arc::clone(&places).acquire_owned().await else {
                    return;
                };
                let desk = Arc::clone(&desk);
                tokio::spawn(async move {
                    if let Err(error) = serve(stream, &desk).await {
                        debug!(%error, "a command left before its answer");
                    }
                    drop(place);
                });
            }
            Err(error) => {
                warn!(%error, "the control socket cannot accept");
                // Out of descriptors, most likely: others must close some first.
                sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

async fn serve(stream: UnixStream, desk: &Desk) -> io::Result<()> {
    let (reading, mut writing) = stream.into_split();
    let line = timeout(ORDER_TIME, read_line(reading)).await??;
    let reply = match serde_json::from_slice::<Order>(&line) {
        Ok(order) => {
            if !order.is_question() {
                info!(?order, "a command came");
            }
            desk.execute(order).await
        }
        Err(error) => {
            let place = error.column();
            Reply::Refused(Refusal::Malformed(format!(
                "this is no order (at byte {place})"
            )))
        }
    };
    timeout(ORDER_TIME, writing.write_all(&encode(&reply)?)).await??;
    writing.shutdown().await
}

async fn read_line(stream: impl tokio::io::AsyncRead + Unpin) -> io::Result<Zeroizing<Vec<u8>>> {
    let mut line = Zeroizing::new(Vec::new());
    BufReader::new(stream.take(LINE_BYTES))
        .read_until(b'\n', &mut line)
        .await?;
    match line.pop() {
        Some(b'\n') => Ok(line),
        _ => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}

fn encode(value: &impl serde::Serialize) -> io::Result<Zeroizing<Vec<u8>>> {
    let mut line = Zeroizing::new(serde_json::to_vec(value)?);
    line.push(b'\n');
    Ok(line)
}

/// Why a command got no answer from a running gateway.
#[derive(Debug, thiserror::Error)]
pub enum NotReached {
    /// Nobody listens: no gateway runs.
    #[error("no gateway runs")]
    NoneRuns,
    /// Somebody listens, but did not answer.
    #[error("the running gateway did not answer: {0}")]
    Broken(io::Error),
}

/// Asks the gateway that listens at `path`.
///
/// # Errors
/// [`NotReached`]; with [`NotReached::Broken`] the order may have been executed.
pub async fn ask(path: &Path, order: &Order) -> Result<Reply, NotReached> {
    let mut stream = match UnixStream::connect(path).await {
        Ok(stream) => stream,
        Err(error) if is_nobody(&error) => return Err(NotReached::NoneRuns),
        Err(error) => return Err(NotReached::Broken(error)),
    };
    let talk = async {
        stream.write_all(&encode(order)?).await?;
        let line = read_line(&mut stream).await?;
        serde_json::from_slice(&line).map_err(io::Error::from)
    };
    match timeout(REPLY_TIME, talk).await {
        Ok(told) => told.map_err(NotReached::Broken),
        Err(late) => Err(NotReached::Broken(late.into())),
    }
}

fn is_nobody(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused
    )
}
