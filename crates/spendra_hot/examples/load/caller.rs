//! One caller: a connection, and one call after the other over it.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use crate::Run;
use crate::answer::Answer;
use crate::tally::{Call, Tally};
use crate::upstream::stamp_in;

const LONGEST_CALL: Duration = Duration::from_secs(60);
const AFTER_FAILURE: Duration = Duration::from_millis(10);

pub async fn call_until_done(run: Arc<Run>) -> Tally {
    let mut tally = Tally::default();
    let mut connection = None;
    while goes_on(&run) {
        let asked = run.now();
        let call = timeout(LONGEST_CALL, one_call(&run, &mut connection)).await;
        let measured = asked >= run.measures_from();
        let in_time = (run.measures_from()..run.ends_at()).contains(&run.now());
        if in_time && matches!(&call, Ok(Ok(call)) if call.status == 200) {
            tally.ended_in_time();
        }
        match call {
            Ok(Ok(call)) if measured => tally.record(call),
            Ok(Ok(_)) => tally.passed(),
            Ok(Err(_)) | Err(_) => {
                connection = None;
                tally.failed(measured);
                sleep(AFTER_FAILURE).await;
            }
        }
        if !run.options.pause.is_zero() {
            sleep(run.options.pause).await;
        }
    }
    tally
}

fn goes_on(run: &Run) -> bool {
    let begun = run.begun_calls.fetch_add(1, Ordering::Relaxed);
    let most = run.options.calls;
    run.now() < run.ends_at() && (most == 0 || begun < most)
}

async fn one_call(run: &Run, connection: &mut Option<TcpStream>) -> io::Result<Call> {
    let mut socket = match connection.take() {
        Some(socket) => socket,
        None => connect(run).await?,
    };
    let asked = run.now();
    socket.write_all(&run.request).await?;
    let (call, closes) = read(run, &mut socket, asked).await?;
    if !closes {
        *connection = Some(socket);
    }
    Ok(call)
}

async fn connect(run: &Run) -> io::Result<TcpStream> {
    let socket = TcpStream::connect((run.options.host.as_str(), run.options.port)).await?;
    socket.set_nodelay(true)?;
    Ok(socket)
}

async fn read(run: &Run, socket: &mut TcpStream, asked: u64) -> io::Result<(Call, bool)> {
    let mut answer = Answer::new();
    let mut call = Call::default();
    let mut received = Vec::with_capacity(8192);
    while !answer.ended() {
        if socket.read_buf(&mut received).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let now = run.now();
        while let Some(piece) = answer.next(&mut received)? {
            call.piece(now.saturating_sub(asked));
            for stamp in stamp_in(&piece) {
                call.lags.push(now.saturating_sub(stamp));
            }
        }
    }
    call.status = answer.status;
    call.whole = run.now().saturating_sub(asked);
    Ok((call, answer.closes))
}
