// Sends back whatever comes: the README's program.
//
// ```sh
// cargo run --example echo
// python3 -m websockets ws://127.0.0.1:9001/    # or websocat, or wscat -c
// ```

use barews::{Connection, Server};

fn main() -> std::io::Result<()> {
    Server::bind("127.0.0.1:9001")?.run(|mut conn: Connection| {
        let mut buf = Vec::new();
        while let Some(message) = conn.recv(&mut buf)? {
            conn.send(message)?;
        }
        Ok(())
    })
}
