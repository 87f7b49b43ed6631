use super::super::handshake::check;
use super::super::testing::{read, with};
use super::*;

/// A request with these offers, each of them a line.
fn head(lines: &[&str]) -> RequestHead {
    let lines = lines.iter().map(|line| format!("Sec-WebSocket-Extensions: {line}\r\n"));
    let head = read(with(&lines.collect::<String>())).unwrap();
    // What is declined does not fail the handshake.
    check(&head).expect("it follows the grammar");
    head
}

fn offers(line: &str) -> Vec<Option<DeflateOffer>> {
    deflate_offers(&head(&[line])).collect()
}

/// The only offer of a line that has this behind the name.
fn offer(parameters: &str) -> Option<DeflateOffer> {
    match offers(&format!("permessage-deflate; {parameters}"))[..] {
        [offer] => offer,
        ref offers => panic!("{parameters}: {offers:?}"),
    }
}

const NONE: DeflateOffer = DeflateOffer {
    server_no_context_takeover: false,
    client_no_context_takeover: false,
    server_max_window_bits: None,
    client_max_window_bits: None,
};

/// Every offer that there is, with one value or three for each window.
fn all_offers() -> impl Iterator<Item = DeflateOffer> {
    let bits = || [None, Some(8), Some(12), Some(15)];
    let client = move || bits().map(Some).into_iter().chain([None]);
    (0..4).flat_map(move |takeover| {
        bits().into_iter().flat_map(move |server| {
            client().map(move |client| DeflateOffer {
                server_no_context_takeover: takeover & 1 != 0,
                client_no_context_takeover: takeover & 2 != 0,
                server_max_window_bits: server,
                client_max_window_bits: client,
            })
        })
    })
}

/// The parameters of an offer, in the order of their names.
fn parameters(offer: &DeflateOffer) -> Vec<String> {
    let client = offer.client_max_window_bits.map(|bits| match bits {
        Some(bits) => format!("client_max_window_bits={bits}"),
        None => "client_max_window_bits".to_owned(),
    });
    let server = offer.server_max_window_bits.map(|bits| format!("server_max_window_bits={bits}"));
    let client_takeover =
        offer.client_no_context_takeover.then(|| "client_no_context_takeover".to_owned());
    let server_takeover =
        offer.server_no_context_takeover.then(|| "server_no_context_takeover".to_owned());
    [client, client_takeover, server, server_takeover].into_iter().flatten().collect()
}

#[test]
fn every_offer_is_read_in_any_order_of_its_parameters() {
    for offer in all_offers() {
        let parameters = parameters(&offer);
        for first in 0..parameters.len().max(1) {
            let (ahead, behind) = parameters.split_at(first);
            let line = [&["permessage-deflate".to_owned()], behind, ahead].concat();
            assert_eq!(offers(&line.join("; ")), [Some(offer)], "{line:?}");
            assert_eq!(offers(&line.join("\t;")), [Some(offer)], "{line:?}");
        }
    }
}

#[test]
fn what_is_unknown_or_ill_valued_declines_an_offer() {
    for declined in [
        // Unknown.
        "foo",
        "foo=1",
        "permessage-deflate",
        "server_max_window_bits=10; foo",
        "foo; client_max_window_bits",
        "window_bits=10",
        "server_max_window_bitss=10",
        "server_max_window_bit=10",
        // Without its value.
        "server_max_window_bits",
        "client_max_window_bits; server_max_window_bits",
        // No numbers.
        "server_max_window_bits=a",
        "client_max_window_bits=true",
        // With a value that it must not have.
        "server_no_context_takeover=1",
        "server_no_context_takeover=0",
        "server_no_context_takeover=\"true\"",
        "client_no_context_takeover=true",
        "client_no_context_takeover=15",
        // Not to the letter.
        "Server_No_Context_Takeover",
        "CLIENT_MAX_WINDOW_BITS",
        "server_max_window_Bits=10",
        "server-max-window-bits=10",
    ] {
        assert_eq!(offer(declined), None, "{declined}");
    }
    for line in ["PERMESSAGE-DEFLATE", "Permessage-Deflate", "permessage-deflat", "permessage"] {
        assert_eq!(offers(line), [], "{line}");
    }
}

/// Tokens that are no number from 8 to 15.
#[rustfmt::skip]
const NO_WINDOWS: [&str; 40] = [
    "-9", "+9", "9.0", "0x9", "1e1", "08", "09", "010", "0", "00", "7", "16", "17", "18", "19",
    "20", "80", "88", "99", "100", "108", "150", "115", "256", "264", "265", "65545",
    "4294967305", "18446744073709551625", "340282366920938463463374607431768211465", "a", "9a",
    "a9", "1a", "_9", "9_", "1_0", "*", "'9'", "8-15",
];

#[test]
fn windows_are_numbers_from_8_to_15() {
    for name in ["server_max_window_bits", "client_max_window_bits"] {
        let read = |value: &str| {
            let offer = offer(&format!("{name}={value}"))?;
            Some(offer.server_max_window_bits.or(offer.client_max_window_bits.flatten()).unwrap())
        };
        for bits in 8..=15 {
            let slashed: String =
                bits.to_string().chars().flat_map(|digit| ['\\', digit]).collect();
            let last = slashed.len() - 2;
            for value in [
                format!("{bits}"),
                format!("\"{bits}\""),
                format!(" \t\"{bits}\" "),
                format!("\"{slashed}\""),
                format!("\"{}{}\"", slashed[..last].replace('\\', ""), &slashed[last..]),
            ] {
                assert_eq!(read(&value), Some(bits), "{name}={value}");
            }
        }
        for value in NO_WINDOWS {
            let slashed: String = value.chars().flat_map(|c| ['\\', c]).collect();
            for value in [value.to_owned(), format!("\"{value}\""), format!("\"{slashed}\"")] {
                assert_eq!(read(&value), None, "{name}={value}");
            }
        }
    }
}

#[test]
fn what_the_grammar_refuses_is_no_offer() {
    for value in ["9 9", "\"\"", "\"9 \"", "\" 9\"", "\"9", "\\9", "9;", "\"9\"9"] {
        let line = format!(
            "Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits={value}\r\n"
        );
        let head = read(with(&line)).unwrap();
        assert!(check(&head).is_err(), "{value}");
        assert_eq!(DeflateOffer::first(&head), None, "{value}");
    }
}

#[test]
fn no_parameter_may_be_given_twice() {
    const PARAMETERS: [&str; 7] = [
        "server_no_context_takeover",
        "client_no_context_takeover",
        "server_max_window_bits=10",
        "server_max_window_bits=11",
        "client_max_window_bits",
        "client_max_window_bits=10",
        "client_max_window_bits=\"11\"",
    ];
    let name = |parameter: &'static str| parameter.split('=').next();
    for first in PARAMETERS {
        for second in PARAMETERS {
            for line in [format!("{first};{second}"), format!("{second} ; {first}")] {
                let is_good = name(first) != name(second);
                assert_eq!(offer(&line).is_some(), is_good, "{line}");
            }
            // With another one between them.
            for between in PARAMETERS {
                let three = [first, between, second].map(name);
                let is_good = three[0] != three[1] && three[1] != three[2] && three[0] != three[2];
                let line = format!("{first}; {between}; {second}");
                assert_eq!(offer(&line).is_some(), is_good, "{line}");
            }
        }
    }
}

#[test]
fn the_first_that_is_acceptable_is_taken() {
    let ten = DeflateOffer { server_max_window_bits: Some(10), ..NONE };
    let deflate = "permessage-deflate";
    let first = |lines: &[&str]| DeflateOffer::first(&head(lines));
    assert_eq!(first(&[]), None);
    assert_eq!(first(&["", ","]), None);
    assert_eq!(first(&[deflate]), Some(NONE));
    assert_eq!(first(&["permessage-deflate; foo, permessage-deflate"]), Some(NONE));
    assert_eq!(first(&["permessage-deflate; foo", deflate]), Some(NONE));
    assert_eq!(first(&["permessage-deflate; server_max_window_bits=10", deflate]), Some(ten));
    assert_eq!(
        first(&["permessage-deflate, permessage-deflate; server_max_window_bits=10"]),
        Some(NONE)
    );
    assert_eq!(
        first(&[
            "a; b=\"c\", permessage-deflate; server_max_window_bits=16,,",
            "",
            "x-webkit-deflate-frame ; no_context_takeover, \
             permessage-deflate; server_max_window_bits=\"1\\0\", d"
        ]),
        Some(ten)
    );
    for other in [
        "x-webkit-deflate-frame",
        "deflate-frame",
        "permessage-bzip2",
        "permessage-compress; method=deflate",
        "x; permessage-deflate",
        "x; y=permessage-deflate",
        "x-permessage-deflate, permessage-deflate2",
    ] {
        assert_eq!(offers(other), [], "{other}");
    }
    // Each is judged by itself.
    assert_eq!(
        offers(
            "permessage-deflate; client_no_context_takeover, x, permessage-deflate; foo, \
             permessage-deflate; client_no_context_takeover; client_no_context_takeover, \
             permessage-deflate; client_no_context_takeover"
        ),
        [true, false, false, true]
            .map(|good| good.then_some(DeflateOffer { client_no_context_takeover: true, ..NONE }))
    );
}

#[test]
fn long_ones_are_declined() {
    let many = vec!["permessage-deflate; foo"; 1_000].join(",");
    assert_eq!(offers(&many), vec![None; 1_000]);
    let last = format!("{many}, permessage-deflate");
    assert_eq!(DeflateOffer::first(&head(&[&last])), Some(NONE));
    assert_eq!(offer(&vec!["a=b"; 2_000].join(";")), None);
    assert_eq!(offer(&vec!["client_no_context_takeover"; 99].join(";")), None);
    for long in ["1".repeat(8_000), format!("\"{}\"", "\\1".repeat(4_000)), "0".repeat(8_000)] {
        assert_eq!(offer(&format!("server_max_window_bits={long}")), None);
        assert_eq!(offer(&format!("client_max_window_bits={long}")), None);
    }
    assert_eq!(offers(&format!("permessage-deflate{}", "e".repeat(8_000))), []);
}

#[test]
fn what_was_asked_for_is_answered() {
    let answer = |offered: &str, server_bits, client_bits| {
        let [Some(offer)] = offers(offered)[..] else { panic!("{offered}") };
        offer.accept(false, false, server_bits, client_bits).to_string()
    };
    for (offered, answered) in [
        ("", ""),
        ("; server_max_window_bits=8", "; server_max_window_bits=8"),
        ("; server_max_window_bits=15", "; server_max_window_bits=14"),
        ("; client_max_window_bits", "; client_max_window_bits=12"),
        ("; client_max_window_bits=8", "; client_max_window_bits=8"),
        ("; client_max_window_bits=10", "; client_max_window_bits=10"),
        ("; client_max_window_bits=15", "; client_max_window_bits=12"),
        ("; server_no_context_takeover", "; server_no_context_takeover"),
        ("; client_no_context_takeover", "; client_no_context_takeover"),
        (
            "; client_max_window_bits; client_no_context_takeover; server_max_window_bits=9; \
             server_no_context_takeover",
            "; server_no_context_takeover; client_no_context_takeover; server_max_window_bits=9; \
             client_max_window_bits=12",
        ),
    ] {
        let [offered, answered] = [offered, answered].map(|it| format!("permessage-deflate{it}"));
        assert_eq!(answer(&offered, 14, 12), answered, "{offered}");
    }
    let demands = NONE.accept(true, true, 9, 9);
    assert_eq!(
        demands.to_string(),
        "permessage-deflate; server_no_context_takeover; client_no_context_takeover"
    );
    // The windows of those that agree on none.
    assert_eq!((demands.server_window_bits(), demands.client_window_bits()), (15, 15));
}

/// Windows that a server may want: its own, and the client's.
const WANTED: [[u8; 2]; 5] = [[9, 15], [15, 9], [11, 12], [12, 13], [15, 15]];

#[test]
fn every_answer_to_every_offer_is_one_that_its_client_must_take() {
    for offer in all_offers() {
        for demands in 0..4 {
            let (server, client) = (demands & 1 != 0, demands & 2 != 0);
            for [server_bits, client_bits] in WANTED {
                let params = offer.accept(server, client, server_bits, client_bits);
                // It is of the same grammar as an offer, and says what was meant.
                let read = DeflateOffer::first(&head(&[&params.to_string()])).unwrap();
                let same = DeflateOffer {
                    server_no_context_takeover: params.server_no_context_takeover,
                    client_no_context_takeover: params.client_no_context_takeover,
                    server_max_window_bits: params.server_max_window_bits,
                    client_max_window_bits: params.client_max_window_bits.map(Some),
                };
                assert_eq!(read, same);
                // RFC 7692 §7.1.1.1, §7.1.1.2.
                let takeover = [same.server_no_context_takeover, same.client_no_context_takeover];
                let [asks, hints] =
                    [offer.server_no_context_takeover, offer.client_no_context_takeover];
                assert_eq!(takeover, [asks || server, hints || client]);
                // RFC 7692 §7.1.2.1, §7.1.2.2: named if the offer has it, and never more than that.
                let asked = offer.server_max_window_bits;
                assert_eq!(params.server_max_window_bits.is_some(), asked.is_some());
                assert!(params.server_window_bits() <= asked.unwrap_or(15));
                let able = offer.client_max_window_bits;
                assert_eq!(params.client_max_window_bits.is_some(), able.is_some());
                assert!(params.client_window_bits() <= able.flatten().unwrap_or(15));
                for bits in [params.server_window_bits(), params.client_window_bits()] {
                    assert!((8..=15).contains(&bits));
                }
                assert!(asked.is_none() || params.server_window_bits() <= server_bits);
                assert!(able.is_none() || params.client_window_bits() <= client_bits);
            }
        }
    }
}
