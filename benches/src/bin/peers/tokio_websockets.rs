//! `tokio-websockets` on a runtime of one thread, as its `echo_server` example has it.

use std::io;

use futures_util::{FutureExt, SinkExt, StreamExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_websockets::{Config, Error, Limits, ServerBuilder};

#[tokio::main(flavor = "current_thread")]
pub(crate) async fn serve(addr: &str, batch: bool) -> io::Result<()> {
    let listener = TcpListener::bind(addr).await?;
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        tokio::spawn(tokio::task::unconstrained(async move {
            match batch {
                false => send_each(stream).await,
                true => send_batches(stream).await,
            }
        }));
    }
}

fn builder() -> ServerBuilder {
    ServerBuilder::new()
        .config(Config::default().frame_size(usize::MAX))
        .limits(Limits::unlimited())
}

/// The example: `send` queues and flushes.
async fn send_each(stream: TcpStream) -> Result<(), Error> {
    let (_, mut socket) = builder().accept(stream).await?;
    while let Some(message) = socket.next().await {
        let message = message?;
        if message.is_text() || message.is_binary() {
            socket.send(message).await?;
        }
    }
    Ok(())
}

/// `feed` only queues: all messages that are there, up to 64, are answered with one flush. They
/// are taken first, since reading flushes what is queued.
async fn send_batches(stream: TcpStream) -> Result<(), Error> {
    let (_, mut socket) = builder().accept(stream).await?;
    let mut batch = Vec::with_capacity(64);
    while let Some(message) = socket.next().await {
        batch.push(message?);
        while batch.len() < batch.capacity()
            && let Some(Some(message)) = socket.next().now_or_never()
        {
            batch.push(message?);
        }
        for message in batch.drain(..) {
            if message.is_text() || message.is_binary() {
                socket.feed(message).await?;
            }
        }
        socket.flush().await?;
    }
    Ok(())
}
