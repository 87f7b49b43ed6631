//! §5 and §7.1: what a client offers, and what is agreed on.

use barews::{Accept, Config, Deflate};

use crate::common::compressed::{compressing, open, read_message, upgraded};
use crate::common::deflate::Inflater;
use crate::common::{Frame, RawClient, TestServer, frame, r0};
use crate::frames::{AGAIN, DEFLATED, HZ};

/// What the server makes of `Sec-WebSocket-Extensions` with these values.
fn answers(config: &Config, lines: &[&str]) -> Option<String> {
    let server = TestServer::echo(config.clone());
    let (mut client, answer) = ask(&server, lines);
    client.finish();
    answer
}

/// The same on a server that runs; the client too, whose connection is open.
fn ask(server: &TestServer, lines: &[&str]) -> (RawClient, Option<String>) {
    let mut client = server.connect();
    let line = |request: crate::common::Request, value: &&str| {
        request.add(format!("Sec-WebSocket-Extensions: {value}"))
    };
    client.send(lines.iter().fold(r0(), line).bytes());
    let answer = upgraded(&client.read_response());
    (client, answer)
}

/// Offers, each by what follows `permessage-deflate`, and the same of the answer; `None` if it is
/// declined, and the connection has no compression then.
fn agree(config: &Config, offers: &[(&str, Option<&str>)]) {
    let server = TestServer::echo(config.clone());
    for (offer, expected) in offers {
        println!("permessage-deflate{offer}");
        let (mut client, answer) = ask(&server, &[&format!("permessage-deflate{offer}")]);
        assert_eq!(answer, expected.map(|expected| format!("permessage-deflate{expected}")));
        client.send(frame(DEFLATED, HZ));
        match expected {
            Some(_) => client.expect(&Frame::text("Hello")),
            None => drop(client.expect_close(1002)),
        }
        if expected.is_some() {
            client.finish();
        }
    }
}

/// Declines all of them, and takes the next one.
fn decline(offers: &[&str]) {
    let config = compressing(|_, _| ());
    let declined: Vec<_> = offers.iter().map(|offer| (*offer, None)).collect();
    agree(&config, &declined);
    let server = TestServer::echo(config);
    for offer in offers {
        let offer = format!("permessage-deflate{offer}");
        let good = "permessage-deflate; server_max_window_bits=10";
        for lines in [&[&*format!("{offer}, {good}")][..], &[&*offer, good]] {
            let (mut client, answer) = ask(&server, lines);
            assert_eq!(answer.as_deref(), Some(good), "{lines:?}");
            client.finish();
        }
    }
}

/// Breaks the grammar of RFC 6455 §9.1.
fn refuse(offers: &[&str]) {
    let server = TestServer::echo(compressing(|_, _| ()));
    for offer in offers {
        println!("{offer}");
        for line in [
            format!("permessage-deflate{offer}"),
            format!("permessage-deflate, permessage-deflate{offer}"),
        ] {
            let mut client = server.connect();
            client.send(r0().add(format!("Sec-WebSocket-Extensions: {line}")).bytes());
            client.expect_refusal(400);
        }
    }
}

#[test]
fn row_50_unknown_parameters() {
    decline(&[
        "; foo",
        "; foo=1",
        "; server_max_window_bit=10",
        "; max_window_bits=10",
        "; no_context_takeover",
        "; server_no_context_takeover; foo",
        "; foo; server_no_context_takeover",
        "; client_max_window_bits; mem_level=9",
        "; compression_level=3",
        "; x-foo",
        "; permessage-deflate",
    ]);
}

#[test]
fn row_51_fallbacks() {
    let config = compressing(|_, _| ());
    let plain = Some("permessage-deflate".to_owned());
    for lines in [
        &["permessage-deflate; foo, permessage-deflate"][..],
        &["permessage-deflate; foo", "permessage-deflate"],
        &["foo, permessage-deflate"],
        &["foo", "bar; baz=\"permessage-deflate\"", "permessage-deflate"],
        &["foo; permessage-deflate; bar, permessage-deflate"],
        &["permessage-deflate, permessage-deflate; server_no_context_takeover"],
        &["permessage-deflate", "permessage-deflate; server_max_window_bits=9"],
        &[
            "permessage-deflate; server_max_window_bits=7, permessage-deflate; x, permessage-deflate",
        ],
        &[",, permessage-deflate ,,"],
        &["\tpermessage-deflate\t"],
        &["", "permessage-deflate"],
    ] {
        assert_eq!(answers(&config, lines), plain, "{lines:?}");
    }
    for lines in [
        &["permessage-deflate; foo, permessage-deflate; bar"][..],
        &["foo; permessage-deflate"],
        &["foo=\"a, permessage-deflate\""; 0],
        &["permessage-bzip2"],
        &["bar; baz=\"permessage-deflate\""],
    ] {
        assert_eq!(answers(&config, lines), None, "{lines:?}");
    }
    let second = "permessage-deflate; client_no_context_takeover";
    let lines = &[
        "permessage-deflate; server_max_window_bits, permessage-deflate; client_no_context_takeover",
    ];
    assert_eq!(answers(&config, lines).as_deref(), Some(second));
}

#[test]
fn row_52_a_window_without_a_value() {
    decline(&[
        "; server_max_window_bits",
        "; server_no_context_takeover; server_max_window_bits",
        "; client_max_window_bits=10; server_max_window_bits",
    ]);
}

#[test]
fn row_53_windows_that_there_are_not() {
    for name in ["server_max_window_bits", "client_max_window_bits"] {
        let values = [
            "7",
            "16",
            "0",
            "1",
            "99",
            "255",
            "256",
            "264",
            "265",
            "271",
            "65545",
            "4294967305",
            "18446744073709551615",
            "18446744073709551625",
            "340282366920938463463374607431768211465",
        ];
        let offers = values.map(|value| format!("; {name}={value}"));
        decline(&offers.each_ref().map(String::as_str));
    }
}

#[test]
fn row_54_windows_that_are_no_numbers() {
    for name in ["server_max_window_bits", "client_max_window_bits"] {
        let values = [
            "08", "09", "010", "0010", "+9", "-9", "9.0", "0x9", "9e0", "1e1", "a", "ten",
            "15bits", "1_0", "\"09\"", "\"+9\"",
        ];
        let offers = values.map(|value| format!("; {name}={value}"));
        decline(&offers.each_ref().map(String::as_str));
        let refused = [
            "9 9", "= 9", "", "\"9", "9\"", "\"9\"9", ";9", "\"9\\\"", "(9)", "9;;", "\"\"",
            "\" 9\"", "\"9 \"", "\u{0}9",
        ];
        let offers = refused.map(|value| format!("; {name}={value}"));
        refuse(&offers.each_ref().map(String::as_str));
    }
}

#[test]
fn row_55_takeover_with_a_value() {
    for name in ["server_no_context_takeover", "client_no_context_takeover"] {
        let values = ["1", "0", "true", "false", "\"1\"", "15"];
        let offers = values.map(|value| format!("; {name}={value}"));
        decline(&offers.each_ref().map(String::as_str));
        refuse(&[&format!("; {name}="), &format!("; {name}=\"\"")]);
    }
}

#[test]
fn row_56_parameters_that_are_repeated() {
    decline(&[
        "; server_no_context_takeover; server_no_context_takeover",
        "; client_no_context_takeover; client_no_context_takeover",
        "; server_max_window_bits=10; server_max_window_bits=10",
        "; server_max_window_bits=10; server_max_window_bits=11",
        "; client_max_window_bits; client_max_window_bits",
        "; client_max_window_bits; client_max_window_bits=10",
        "; client_max_window_bits=10; client_max_window_bits",
        "; client_max_window_bits=9; server_no_context_takeover; client_max_window_bits=9",
    ]);
}

#[test]
fn row_57_names_are_compared_to_the_letter() {
    decline(&[
        "; Server_No_Context_Takeover",
        "; CLIENT_MAX_WINDOW_BITS",
        "; Client_max_window_bits=10",
        "; server-no-context-takeover",
    ]);
    let config = compressing(|_, _| ());
    for name in [
        "PERMESSAGE-DEFLATE",
        "Permessage-Deflate",
        "permessage_deflate",
        "permessage-deflate2",
        "permessage",
    ] {
        assert_eq!(answers(&config, &[name]), None, "{name}");
    }
}

#[test]
fn row_58_quoted_values() {
    agree(
        &compressing(|_, _| ()),
        &[
            ("; server_max_window_bits=\"10\"", Some("; server_max_window_bits=10")),
            ("; server_max_window_bits=\"\\1\\0\"", Some("; server_max_window_bits=10")),
            ("; server_max_window_bits=\"1\\5\"", Some("; server_max_window_bits=15")),
            ("; client_max_window_bits=\"9\"", Some("; client_max_window_bits=9")),
            ("; client_max_window_bits=\"\\8\"", Some("; client_max_window_bits=8")),
        ],
    );
}

#[test]
fn row_59_white_space() {
    let config = compressing(|_, _| ());
    agree(
        &config,
        &[
            (";server_max_window_bits=10", Some("; server_max_window_bits=10")),
            (" ;  server_max_window_bits=10  ", Some("; server_max_window_bits=10")),
            ("\t;\tserver_max_window_bits=10\t", Some("; server_max_window_bits=10")),
            (
                " ; client_no_context_takeover ;server_no_context_takeover",
                Some("; server_no_context_takeover; client_no_context_takeover"),
            ),
        ],
    );
}

/// What is right, with the default settings: windows of 15 and 12 bits.
#[test]
fn row_60_the_smallest_window() {
    agree(
        &compressing(|_, _| ()),
        &[
            ("; server_max_window_bits=8", Some("; server_max_window_bits=8")),
            ("; client_max_window_bits=8", Some("; client_max_window_bits=8")),
            ("; server_max_window_bits=9", Some("; server_max_window_bits=9")),
            ("; server_max_window_bits=15", Some("; server_max_window_bits=15")),
        ],
    );
}

#[test]
fn row_61_the_clients_window() {
    agree(
        &compressing(|_, _| ()),
        &[
            ("", Some("")),
            ("; client_max_window_bits", Some("; client_max_window_bits=12")),
            ("; client_max_window_bits=10", Some("; client_max_window_bits=10")),
            ("; client_max_window_bits=12", Some("; client_max_window_bits=12")),
            ("; client_max_window_bits=13", Some("; client_max_window_bits=12")),
            ("; client_max_window_bits=15", Some("; client_max_window_bits=12")),
        ],
    );
    let wide = compressing(|_, deflate| deflate.client_max_window_bits = 15);
    agree(
        &wide,
        &[
            ("", Some("")),
            ("; client_max_window_bits", Some("; client_max_window_bits=15")),
            ("; client_max_window_bits=15", Some("; client_max_window_bits=15")),
            ("; client_max_window_bits=9", Some("; client_max_window_bits=9")),
        ],
    );
}

/// Windows and takeover as the settings have them.
#[test]
fn the_answer_by_the_settings() {
    let narrow = compressing(|_, deflate| {
        (deflate.server_max_window_bits, deflate.client_max_window_bits) = (9, 9);
    });
    agree(
        &narrow,
        &[
            ("", Some("")),
            ("; server_max_window_bits=8", Some("; server_max_window_bits=8")),
            ("; server_max_window_bits=15", Some("; server_max_window_bits=9")),
            ("; client_max_window_bits", Some("; client_max_window_bits=9")),
            ("; client_max_window_bits=8", Some("; client_max_window_bits=8")),
        ],
    );
    let alone = compressing(|_, deflate| {
        (deflate.server_no_context_takeover, deflate.client_no_context_takeover) = (true, true);
    });
    agree(
        &alone,
        &[
            ("", Some("; server_no_context_takeover; client_no_context_takeover")),
            (
                "; client_no_context_takeover",
                Some("; server_no_context_takeover; client_no_context_takeover"),
            ),
            (
                "; client_max_window_bits",
                Some(
                    "; server_no_context_takeover; client_no_context_takeover; client_max_window_bits=12",
                ),
            ),
        ],
    );
    let forgetful = compressing(|_, deflate| deflate.history = 0);
    agree(&forgetful, &[("", Some("; server_no_context_takeover"))]);
}

/// Linear time, and nothing held of it.
#[test]
fn row_62_many_offers() {
    let config = compressing(|config, _| {
        (config.limits.max_header_line, config.limits.max_head_size) = (1 << 20, 1 << 20);
    });
    let server = TestServer::echo(config);
    let many = |offer: &str, times: usize| vec![offer; times].join(",");
    let start = std::time::Instant::now();
    for (line, expected) in [
        (many("permessage-deflate;foo", 300), None),
        (many("permessage-deflate;foo", 300) + ",permessage-deflate", Some("permessage-deflate")),
        (format!("permessage-deflate{}", ";foo=1".repeat(99)), None),
        (format!("permessage-deflate;foo={}", "x".repeat(8000)), None),
        (format!("permessage-deflate;foo=\"{}\"", "\\x".repeat(4000)), None),
        (format!("permessage-deflate;server_max_window_bits=\"{}\"", "\\1".repeat(4000)), None),
        (format!("permessage-deflate{}", ";client_no_context_takeover".repeat(300)), None),
        (many("permessage-deflate;foo", 40_000), None),
        (format!("permessage-deflate{}", ";foo".repeat(200_000)), None),
        (many("a", 400_000) + ",permessage-deflate", Some("permessage-deflate")),
        (many("permessage-deflate;server_max_window_bits=\"7\"", 20_000), None),
    ] {
        let (mut client, answer) = ask(&server, &[&line]);
        assert_eq!(answer.as_deref(), expected, "{} bytes", line.len());
        client.finish();
    }
    // 5 MB in a build for debugging; the square of it would be hours.
    assert!(start.elapsed() < std::time::Duration::from_secs(10), "{:?}", start.elapsed());
}

#[test]
fn row_63_other_extensions() {
    let config = compressing(|_, _| ());
    for name in [
        "x-webkit-deflate-frame",
        "deflate-frame",
        "permessage-bzip2",
        "perframe-deflate",
        "x-permessage-deflate",
        "mux; max-channels=4; flow-control, deflate-stream",
    ] {
        assert_eq!(answers(&config, &[name]), None, "{name}");
        assert_eq!(
            answers(&config, &[name, "permessage-deflate"]).as_deref(),
            Some("permessage-deflate")
        );
    }
}

#[test]
fn row_64_nothing_is_asked_for() {
    let config = compressing(|_, _| ());
    assert_eq!(answers(&config, &[]), None);
    assert_eq!(answers(&config, &[""]), None);
    // And who has it off answers nothing.
    assert_eq!(answers(&Config::default(), &["permessage-deflate"]), None);
}

#[test]
fn row_65_all_parameters_at_once() {
    let all = [
        "; server_no_context_takeover",
        "; client_no_context_takeover",
        "; server_max_window_bits=10",
        "; client_max_window_bits=11",
    ];
    let answer = all.concat();
    let mut offers = Vec::new();
    for first in 0..4 {
        for turn in [1, 3] {
            let order = (0..4).map(|at| all[(first + turn * at) % 4]);
            offers.push(order.collect::<String>());
        }
    }
    let offers: Vec<_> =
        offers.iter().map(|offer| (offer.as_str(), Some(answer.as_str()))).collect();
    agree(&compressing(|_, _| ()), &offers);
}

#[test]
fn what_breaks_the_grammar_is_refused() {
    refuse(&[
        ";",
        "; ",
        ";;foo",
        "; =10",
        "; foo=\"a b\"",
        "; server_max_window_bits=\"\\ 9\"",
        "; server max window bits",
        "; foo=",
        " permessage-deflate",
        "; foo=\"\"",
        "; \"foo\"",
        "/1",
    ]);
}

/// What was agreed on is kept: the server's side of each parameter, seen on the wire.
#[test]
fn what_was_agreed_on_is_kept() {
    let config =
        compressing(|_, deflate| (deflate.threshold, deflate.threshold_no_context) = (0, 0));
    let server = TestServer::echo(config);
    let text = &["The quick brown fox jumps over a lazy dog", &"!".repeat(60)].concat();
    for (offer, takeover) in [("", true), ("; server_no_context_takeover", false)] {
        let (mut client, answer) = open(server.addr, &format!("permessage-deflate{offer}"));
        assert_eq!(answer, Some(format!("permessage-deflate{offer}")));
        let mut inflater = Inflater::new(15, takeover);
        for _ in 0..3 {
            client.send(frame(crate::common::TEXT, text));
            let (is_compressed, frames, message) = read_message(&mut client, &mut inflater);
            assert_eq!((is_compressed, frames, message), (true, 1, Frame::text(text)));
        }
        // To the exclamation mark before, or to the message before.
        assert_eq!(inflater.longest, if takeover { text.len() } else { 1 });
        client.finish();
    }
}

/// Off for one connection, and on for the next.
#[test]
fn accept_decides_for_one_connection() {
    let config = compressing(|_, deflate| deflate.threshold = 0);
    let server = TestServer::with_handler(
        |server| {
            server.config(config).on_upgrade(|request| {
                let compresses = request.target() != "/plain";
                Ok(Accept::new().compress(compresses))
            })
        },
        |mut conn| {
            assert_eq!(conn.compression().is_some(), conn.request().target() != "/plain");
            crate::common::echo(&mut conn).result?;
            Ok(())
        },
    );
    for (target, compresses) in [("/plain", false), ("/", true), ("/plain", false)] {
        let mut client = server.connect();
        let offer = "Sec-WebSocket-Extensions: permessage-deflate";
        client.send(r0().target(target).add(offer).bytes());
        assert_eq!(upgraded(&client.read_response()).is_some(), compresses);
        client.send(frame(DEFLATED, HZ));
        if !compresses {
            client.expect_close(1002);
            continue;
        }
        client.send(frame(DEFLATED, AGAIN));
        let mut inflater = Inflater::new(15, true);
        for _ in 0..2 {
            assert_eq!(read_message(&mut client, &mut inflater).2, Frame::text("Hello"));
        }
        client.finish();
    }
}

/// Settings that cannot be had are refused before anything runs.
#[test]
fn settings_that_are_wrong() {
    let wrong: [fn(&mut Deflate); 9] = [
        |deflate| deflate.level = 0,
        |deflate| deflate.level = 10,
        |deflate| deflate.server_max_window_bits = 8,
        |deflate| deflate.server_max_window_bits = 16,
        |deflate| deflate.client_max_window_bits = 8,
        |deflate| deflate.client_max_window_bits = 0,
        |deflate| deflate.client_max_window_bits = 255,
        |deflate| deflate.history = (32 << 10) + 1,
        |deflate| deflate.history = usize::MAX,
    ];
    for (number, change) in wrong.into_iter().enumerate() {
        let config = compressing(|_, deflate| change(deflate));
        let error = config.validate().expect_err("a setting that is wrong");
        assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput, "{number}");
    }
}
