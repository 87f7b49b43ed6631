//! `actix-ws` on actix-web with one worker, as its examples have it. A message goes through a queue to
//! the task that writes the response's body.

use std::io;
use std::time::Duration;

use actix_web::rt::{self, System};
use actix_web::web::{self, Payload};
use actix_web::{App, Error, HttpRequest, HttpResponse, HttpServer};
use actix_ws::{AggregatedMessage, AggregatedMessageStream, Closed, Session};
use futures_util::StreamExt;

/// The longest frame and message; it has 64 KiB and 1 MiB else.
const MAX_MESSAGE: usize = 16 << 20;

pub(crate) fn serve(addr: &str) -> io::Result<()> {
    let app = || App::new().route("/", web::get().to(accept));
    let server = HttpServer::new(app).workers(1).tcp_nodelay(true);
    // After a Close it would wait a second for the client to end the connection first.
    let server = server.client_disconnect_timeout(Duration::ZERO);
    System::new().block_on(server.bind(addr)?.run())
}

async fn accept(request: HttpRequest, body: Payload) -> Result<HttpResponse, Error> {
    let (response, session, stream) = actix_ws::handle(&request, body)?;
    let stream = stream.max_frame_size(MAX_MESSAGE).aggregate_continuations();
    rt::spawn(echo(session, stream.max_continuation_size(MAX_MESSAGE)));
    Ok(response)
}

async fn echo(mut session: Session, mut stream: AggregatedMessageStream) -> Result<(), Closed> {
    while let Some(Ok(message)) = stream.next().await {
        match message {
            AggregatedMessage::Text(text) => session.text(text).await?,
            AggregatedMessage::Binary(bytes) => session.binary(bytes).await?,
            AggregatedMessage::Ping(bytes) => session.pong(&bytes).await?,
            AggregatedMessage::Close(reason) => return session.close(reason).await,
            AggregatedMessage::Pong(_) => {}
        }
    }
    Ok(())
}
