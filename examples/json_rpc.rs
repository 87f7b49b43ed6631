//! JSON-RPC 2.0: a request in a text message is answered in one, batches and notifications included.
//!
//! ```sh
//! cargo run --example json_rpc
//! python3 -m websockets ws://127.0.0.1:9001/
//! > {"jsonrpc": "2.0", "id": 1, "method": "sum", "params": [1, 2, 3]}
//! < {"id":1,"jsonrpc":"2.0","result":6.0}
//! ```

use std::env;

use barews::{BoxError, CloseCode, Config, Connection, Message, Server};
use serde_json::{Value, json};

/// In bytes.
const MAX_REQUEST: u64 = 64 << 10;
/// An answer can be longer than its request, and a batch has many.
const MAX_BATCH: usize = 100;

/// What the specification calls an error object: a code, and what it means.
type RpcError = (i32, &'static str);

const PARSE_ERROR: RpcError = (-32700, "Parse error");
const INVALID_REQUEST: RpcError = (-32600, "Invalid Request");
const METHOD_NOT_FOUND: RpcError = (-32601, "Method not found");
const INVALID_PARAMS: RpcError = (-32602, "Invalid params");

fn main() -> std::io::Result<()> {
    let addr = env::args().nth(1).unwrap_or_else(|| "127.0.0.1:9001".to_owned());
    let mut config = Config::default();
    config.limits.max_message_size = MAX_REQUEST;
    let server = Server::bind(addr)?.config(config);
    eprintln!("listening on ws://{}", server.local_addr().expect("bound to an address"));
    server.run(serve)
}

fn serve(mut conn: Connection) -> Result<(), BoxError> {
    let mut buf = Vec::new();
    while let Some(message) = conn.recv(&mut buf)? {
        let Message::Text(text) = message else {
            conn.close(CloseCode::UNSUPPORTED_DATA, "JSON-RPC is text")?;
            break;
        };
        if let Some(response) = respond(text.as_str()) {
            // Requests that came together are answered together, before `recv` waits.
            conn.write(&response.to_string())?;
        }
    }
    Ok(())
}

/// The response to a message, if it has one: notifications have none.
fn respond(text: &str) -> Option<Value> {
    match serde_json::from_str(text) {
        Err(_) => Some(response(&Value::Null, Err(PARSE_ERROR))),
        Ok(Value::Array(batch)) if (1..=MAX_BATCH).contains(&batch.len()) => {
            let responses: Vec<_> = batch.iter().filter_map(respond_to_one).collect();
            (!responses.is_empty()).then(|| responses.into())
        }
        Ok(request) => respond_to_one(&request),
    }
}

fn respond_to_one(request: &Value) -> Option<Value> {
    let params = request.get("params").unwrap_or(&Value::Null);
    let id = request.get("id");
    let method = match request["method"].as_str() {
        Some(method)
            if request["jsonrpc"] == "2.0"
                && matches!(params, Value::Null | Value::Array(_) | Value::Object(_))
                && matches!(id, None | Some(Value::Null | Value::String(_) | Value::Number(_))) =>
        {
            method
        }
        // Who cannot be understood is told so, whether a response was asked for or not.
        _ => return Some(response(&Value::Null, Err(INVALID_REQUEST))),
    };
    let result = call(method, params);
    id.map(|id| response(id, result))
}

fn response(id: &Value, result: Result<Value, RpcError>) -> Value {
    match result {
        Ok(result) => json!({ "jsonrpc": "2.0", "id": id, "result": result }),
        Err((code, message)) => {
            json!({ "jsonrpc": "2.0", "id": id, "error": { "code": code, "message": message } })
        }
    }
}

/// The methods. Yours go here.
fn call(method: &str, params: &Value) -> Result<Value, RpcError> {
    match method {
        "sum" => {
            let numbers = params.as_array().ok_or(INVALID_PARAMS)?.iter().map(Value::as_f64);
            let sum: f64 = numbers.sum::<Option<f64>>().ok_or(INVALID_PARAMS)?;
            Ok(sum.into())
        }
        "greet" => {
            let name = params["name"].as_str().ok_or(INVALID_PARAMS)?;
            Ok(format!("Hello, {name}!").into())
        }
        _ => Err(METHOD_NOT_FOUND),
    }
}
