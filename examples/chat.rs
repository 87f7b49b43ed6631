//! A chat: who opens `/ROOM?name=NAME` hears what everybody in the room says, all in the same order.
//!
//! Each has a queue, so that one who reads slowly holds up nobody: when it is full, the member is closed with
//! 1013.
//!
//! ```sh
//! cargo run --example chat
//! python3 -m websockets 'ws://127.0.0.1:9001/room?name=Ann'    # and in another terminal for Bob
//! ```

use std::collections::HashMap;
use std::env;
use std::sync::Mutex;
use std::time::Duration;

use barews::{
    Accept, BoxError, CloseCode, Config, Connection, Message, OwnedMessage, Reject, Request,
    SendQueue, Server, Status, broadcast,
};

/// How much may wait for a member, in bytes.
const MAX_QUEUED: usize = 256 << 10;
/// How long one who talks is waited for.
const BACKPRESSURE_TIMEOUT: Duration = Duration::from_secs(10);
/// The longest message, in bytes.
const MAX_MESSAGE: u64 = 4 << 10;
/// The longest name, in characters.
const MAX_NAME: usize = 32;

/// Who is in which room.
#[derive(Default)]
struct Rooms(Mutex<HashMap<String, Vec<SendQueue>>>);

/// One who is in a room, until this is dropped.
struct Member<'a> {
    rooms: &'a Rooms,
    room: &'a str,
    name: &'a str,
    queue: SendQueue,
}

fn main() -> std::io::Result<()> {
    let addr = env::args().nth(1).unwrap_or_else(|| "127.0.0.1:9001".to_owned());
    let mut config = Config::default();
    config.limits.max_message_size = MAX_MESSAGE;
    let server = Server::bind(addr)?.config(config).on_upgrade(|request| match name(request) {
        Some(name) => Ok(Accept::new().attach(name)),
        None => Err(Reject::new(Status::BAD_REQUEST, "open /ROOM?name=NAME\n")),
    });
    eprintln!("listening on ws://{}", server.local_addr().expect("bound to an address"));
    let rooms = Rooms::default();
    server.run(move |conn| chat(conn, &rooms))
}

fn name(request: &Request) -> Option<String> {
    let name = request.query_value("name")?.into_owned();
    let is_fit = !name.contains(char::is_control) && (1..=MAX_NAME).contains(&name.chars().count());
    is_fit.then_some(name)
}

fn chat(mut conn: Connection, rooms: &Rooms) -> Result<(), BoxError> {
    let name = conn.attached::<String>().cloned().ok_or("no name")?;
    let room = conn.request().path().to_owned();
    let queue = conn.sender().queued(MAX_QUEUED)?;
    let member = Member::join(rooms, &room, &name, queue);
    let mut buf = Vec::new();
    while let Some(message) = conn.recv(&mut buf)? {
        let Message::Text(text) = message else {
            conn.close(CloseCode::UNSUPPORTED_DATA, "a chat is text")?;
            break;
        };
        member.say(format!("{name}: {text}"));
        // Backpressure: who talks must have heard most of it before it goes on.
        member.queue.wait_for_room(MAX_QUEUED / 2, BACKPRESSURE_TIMEOUT);
    }
    Ok(())
}

impl<'a> Member<'a> {
    fn join(rooms: &'a Rooms, room: &'a str, name: &'a str, queue: SendQueue) -> Self {
        rooms.0.lock().unwrap().entry(room.to_owned()).or_default().push(queue.clone());
        let member = Self { rooms, room, name, queue };
        member.say(format!("* {name} has come"));
        member
    }

    fn say(&self, text: String) {
        let message = OwnedMessage::from(text);
        // Nothing waits under the lock, which gives everybody the same order.
        let rooms = self.rooms.0.lock().unwrap();
        for slow in broadcast(rooms.get(self.room).into_iter().flatten(), &message).full {
            let _ = slow.close_now(CloseCode::TRY_AGAIN_LATER, "you read too slowly");
        }
    }
}

impl Drop for Member<'_> {
    fn drop(&mut self) {
        let mut rooms = self.rooms.0.lock().unwrap();
        if let Some(members) = rooms.get_mut(self.room) {
            members.retain(|queue| !queue.same_queue(&self.queue));
            if members.is_empty() {
                rooms.remove(self.room);
            }
        }
        drop(rooms);
        self.say(format!("* {} has gone", self.name));
    }
}
