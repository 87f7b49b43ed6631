//! The chat on more than one machine: each process serves some of the members, and Redis takes what they say
//! from one process to the others.
//!
//! What makes it so is one line, the `backplane`: with [`barews::Local`] in its place it is the chat of one
//! process. It hears every room. The binary subscribes to those that somebody is in, keeps what is said while
//! Redis is away, and counts what is lost (`src/bin/barews/backplane`); here the process ends.
//!
//! ```sh
//! redis-server &
//! cargo run --features backplane --example scale_out -- 127.0.0.1:9001 redis://127.0.0.1 &
//! cargo run --features backplane --example scale_out -- 127.0.0.1:9002 redis://127.0.0.1 &
//! python3 -m websockets ws://127.0.0.1:9001/room    # and in another terminal for 9002
//! ```

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use std::{env, process, thread};

use barews::{
    Backplane, BoxError, CloseCode, Config, Connection, OwnedMessage, PublishError, SendQueue,
    Server, broadcast,
};

/// How much may wait for a member, in bytes.
const MAX_QUEUED: usize = 256 << 10;
/// The longest message, in bytes.
const MAX_MESSAGE: u64 = 4 << 10;
/// How long Redis may take.
const REDIS_TIMEOUT: Duration = Duration::from_secs(3);

/// The members whom this process serves, by their room.
type Rooms = Arc<Mutex<HashMap<String, Vec<SendQueue>>>>;

/// Publishes to Redis; another connection delivers what comes from there.
struct Redis(Mutex<redis::Connection>);

fn main() -> Result<(), BoxError> {
    let [addr, url] = [1, 2].map(|i| env::args().nth(i));
    let addr = addr.unwrap_or_else(|| "127.0.0.1:9001".to_owned());
    let rooms = Rooms::default();
    let here = Arc::clone(&rooms);
    let deliver = move |room: &str, message: &OwnedMessage| deliver(&here, room, message);
    // On one machine: let backplane = barews::Local::new(deliver);
    let backplane = Redis::connect(&url.ok_or("ADDR REDIS_URL")?, deliver)?;
    let mut config = Config::default();
    config.limits.max_message_size = MAX_MESSAGE;
    let server = Server::bind(addr)?.config(config);
    eprintln!("listening on ws://{}", server.local_addr().expect("bound to an address"));
    Ok(server.run(move |conn| chat(conn, &rooms, &backplane))?)
}

fn chat(mut conn: Connection, rooms: &Rooms, backplane: &dyn Backplane) -> Result<(), BoxError> {
    let room = conn.request().path().to_owned();
    let queue = conn.sender().queued(MAX_QUEUED)?;
    rooms.lock().unwrap().entry(room.clone()).or_default().push(queue.clone());
    let mut buf = Vec::new();
    let result = loop {
        match conn.recv(&mut buf) {
            Ok(Some(message)) => {
                if let Err(error) = backplane.publish(&room, &message.into()) {
                    break Err(error.into());
                }
            }
            Ok(None) => break Ok(()),
            Err(error) => break Err(error.into()),
        }
    };
    let mut rooms = rooms.lock().unwrap();
    let members = rooms.entry(room.clone()).or_default();
    members.retain(|member| !member.same_queue(&queue));
    if members.is_empty() {
        rooms.remove(&room);
    }
    result
}

/// Nothing waits under the lock, which gives everybody the same order.
fn deliver(rooms: &Rooms, room: &str, message: &OwnedMessage) {
    let rooms = rooms.lock().unwrap();
    for slow in broadcast(rooms.get(room).into_iter().flatten(), message).full {
        let _ = slow.close_now(CloseCode::TRY_AGAIN_LATER, "you read too slowly");
    }
}

impl Redis {
    fn connect(
        url: &str,
        deliver: impl Fn(&str, &OwnedMessage) + Send + 'static,
    ) -> Result<Self, BoxError> {
        let client = redis::Client::open(url)?;
        let publisher = client.get_connection_with_timeout(REDIS_TIMEOUT)?;
        publisher.set_read_timeout(Some(REDIS_TIMEOUT))?;
        publisher.set_write_timeout(Some(REDIS_TIMEOUT))?;
        let mut subscriber = client.get_connection_with_timeout(REDIS_TIMEOUT)?;
        thread::spawn(move || {
            let error = listen(&mut subscriber, deliver).unwrap_err();
            eprintln!("redis: {error}");
            process::exit(1);
        });
        Ok(Self(Mutex::new(publisher)))
    }
}

/// Delivers until something is wrong. A text is one in Redis too; what is none is not from here.
fn listen(
    subscriber: &mut redis::Connection,
    deliver: impl Fn(&str, &OwnedMessage),
) -> redis::RedisResult<()> {
    let mut subscriber = subscriber.as_pubsub();
    subscriber.psubscribe("chat:*")?;
    loop {
        let message = subscriber.get_message()?;
        let room = message.get_channel_name().strip_prefix("chat:");
        if let (Some(room), Ok(text)) = (room, std::str::from_utf8(message.get_payload_bytes())) {
            deliver(room, &text.into());
        }
    }
}

impl Backplane for Redis {
    fn publish(&self, room: &str, message: &OwnedMessage) -> Result<(), PublishError> {
        let mut publish = redis::cmd("PUBLISH");
        publish.arg(format!("chat:{room}")).arg(message.as_bytes());
        let published = publish.exec(&mut *self.0.lock().unwrap());
        published.map_err(|error| PublishError::Unreachable(error.into()))
    }
}
