//! Files, both ways.

use std::fs;
use std::path::Path;

use crate::common::{BINARY, Binary, CONT, Frame, RawClient, frame, noise, r0};
use crate::program::{Folder, start};

fn example(folder: &Path) -> Binary {
    start("upload", &[folder.to_str().expect("UTF-8")])
}

fn open(example: &Binary, target: &str) -> RawClient {
    let mut client = RawClient::connect(example.addr);
    client.send(r0().target(target).bytes());
    client.expect_upgrade();
    client
}

#[test]
fn a_file_comes_back_as_it_was() {
    let folder = Folder::new("upload");
    let example = example(&folder.0);
    let content: Vec<u8> = noise(7).take(20_000_000).collect();
    // In one frame, and then in three, the last of them empty.
    for frames in [
        vec![frame(BINARY, &content)],
        vec![frame(0x02, &content[..1]), frame(0x00, &content[1..]), frame(CONT, "")],
    ] {
        let mut client = open(&example, "/a.bin");
        frames.iter().for_each(|frame| client.send(frame));
        client.expect(&Frame::text("stored 20000000 bytes"));
        assert!(fs::read(folder.0.join("a.bin")).unwrap() == content);
        assert_eq!(client.read_frame().expect("a Close").close_parts(), (1000, ""));
    }
    let mut client = open(&example, "/a.bin?download");
    let mut received = Vec::new();
    loop {
        let part = client.read_frame().expect("a frame");
        assert_eq!(part.opcode, if received.is_empty() { 2 } else { 0 });
        received.extend(part.payload);
        if part.fin {
            break;
        }
    }
    assert!(received == content);
    assert_eq!(client.read_frame().expect("a Close").close_parts(), (1000, ""));
    #[cfg(target_os = "linux")]
    assert!(example.peak_memory() < 15_000_000, "{} bytes", example.peak_memory());
}

#[test]
fn half_a_file_is_no_file() {
    let folder = Folder::new("half");
    let mut example = example(&folder.0);
    let mut client = open(&example, "/a.bin");
    client.send(frame(BINARY, "whole"));
    client.expect(&Frame::text("stored 5 bytes"));
    let mut client = open(&example, "/a.bin");
    client.send(frame(0x02, "ha"));
    client.send_eof();
    example.line_with("unexpected end");
    let mut client = open(&example, "/b.bin");
    client.finish();
    example.line_with("closed before");
    assert_eq!(folder.names(), ["a.bin"]);
    assert_eq!(fs::read(folder.0.join("a.bin")).unwrap(), b"whole");
}

#[test]
fn nothing_else_can_be_reached() {
    let folder = Folder::new("names");
    let example = example(&folder.0.join("inner"));
    fs::write(folder.0.join("secret"), "secret").unwrap();
    fs::write(folder.0.join("inner/.secret"), "secret").unwrap();
    let long = "/".to_owned() + &"a".repeat(101);
    for target in [
        "/../secret?download",
        "/..%2fsecret?download",
        "/..\\secret?download",
        "//secret?download",
        "/.secret?download",
        "/absent?download",
        "/..?download",
        "/inner/?download",
        "/",
        "/.secret",
        &long,
    ] {
        let mut client = RawClient::connect(example.addr);
        client.send(r0().target(target).bytes());
        client.expect_refusal(404);
    }
}
