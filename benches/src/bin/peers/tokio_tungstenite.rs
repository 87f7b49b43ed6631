//! `tokio-tungstenite` on tokio's multi-threaded runtime, as its examples have it. Pinned to one
//! core, that is one worker.

use std::io;
use std::sync::Arc;

use barews::rustls::ServerConfig;
use futures_util::{SinkExt, StreamExt, TryStreamExt, future};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_tungstenite::accept_async;
use tokio_tungstenite::tungstenite::Result;

#[tokio::main]
pub(crate) async fn serve(addr: &str, batch: bool) -> io::Result<()> {
    let listener = TcpListener::bind(addr).await?;
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        match batch {
            false => tokio::spawn(send_each(stream)),
            true => tokio::spawn(forward(stream)),
        };
    }
}

/// Over the stream of tokio-rustls, as it comes with the library.
#[tokio::main]
pub(crate) async fn serve_tls(addr: &str, config: Arc<ServerConfig>) -> io::Result<()> {
    let (listener, acceptor) = (TcpListener::bind(addr).await?, TlsAcceptor::from(config));
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let acceptor = acceptor.clone();
        tokio::spawn(async move { send_each(acceptor.accept(stream).await?).await });
    }
}

/// The example `autobahn-server`.
async fn send_each(stream: impl AsyncRead + AsyncWrite + Unpin) -> Result<()> {
    let mut socket = accept_async(stream).await?;
    while let Some(message) = socket.next().await {
        let message = message?;
        if message.is_text() || message.is_binary() {
            socket.send(message).await?;
        }
    }
    Ok(())
}

/// The example `echo-server`: `forward` flushes when no more input is there.
async fn forward(stream: TcpStream) -> Result<()> {
    let (write, read) = accept_async(stream).await?.split();
    read.try_filter(|message| future::ready(message.is_text() || message.is_binary()))
        .forward(write)
        .await
}
