//! The reactions of tungstenite's `connect`. The arguments are the server's URL and the file of cases; what comes of
//! each is a line of JSON on standard output. `tests/reactions/run` starts it.

use std::time::Instant;

use serde_json::{Value, json};
use tungstenite::client::IntoClientRequest;
use tungstenite::http::HeaderValue;
use tungstenite::{Error, Message, connect};

fn main() {
    let mut args = std::env::args().skip(1);
    // Run by `cargo test`, it has nothing to talk to.
    let (Some(url), Some(file)) = (args.next(), args.next()) else { return };
    let cases = std::fs::read_to_string(file).expect("the file of cases");
    let cases: Vec<Value> = serde_json::from_str(&cases).expect("JSON");
    let lock = include_str!("../../Cargo.lock");
    let version = lock.split("name = \"tungstenite\"\nversion = \"").nth(1).unwrap();
    println!("{}", json!({ "version": version.split('"').next() }));
    for case in cases {
        let start = Instant::now();
        let mut result = try_out(&url, &case).unwrap_or_else(|error| told(&error));
        result["case"] = case["name"].clone();
        result["seconds"] = json!(start.elapsed().as_secs_f64());
        println!("{result}");
    }
}

fn try_out(url: &str, case: &Value) -> Result<Value, Error> {
    let text = |name: &str| case[name].as_str().unwrap_or("");
    let url = url.replace("://", &format!("://{}", text("userinfo"))) + text("path");
    let mut request = url.into_client_request()?;
    let offers = case["offers"].as_array().into_iter().flatten();
    let offers: Vec<_> = offers.filter_map(Value::as_str).collect();
    if !offers.is_empty() {
        let offers = HeaderValue::from_str(&offers.join(", ")).expect("names");
        request.headers_mut().insert("Sec-WebSocket-Protocol", offers);
    }
    let (mut socket, _) = connect(request)?;
    socket.send(Message::text("hello"))?;
    let first = case["first"].as_str().unwrap_or("hello");
    let echo = socket.read()?.into_text()?.as_str() == first;
    Ok(json!({ "connected": true, "echo": echo }))
}

/// What an error says, and what it shows of the answer.
fn told(error: &Error) -> Value {
    let kind = format!("{error:?}");
    let kind = kind.split(|c: char| !c.is_alphanumeric()).next().unwrap();
    let mut result = json!({ "connected": false, "says": format!("{kind}: {error}") });
    if let Error::Http(answer) = error {
        result["seen"] = json!({
            "status": answer.status().as_u16(),
            "headers": answer.headers().contains_key("Retry-After"),
            "body": answer.body().as_ref().is_some_and(|body| !body.is_empty()),
        });
    }
    result
}
