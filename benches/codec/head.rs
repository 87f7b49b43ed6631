//! The opening handshake: reading the request's head, and all of it up to the bytes of the 101.

mod parse {
    use std::hint::black_box;
    use std::str;

    use barews::http::{HeadLimits, HeadParser};
    use barews_benches::sample::CHROME;
    use divan::Bencher;
    use divan::counter::BytesCount;

    /// `parse` gives the number of headers.
    fn bench(bencher: Bencher, parse: fn(&[u8]) -> usize) {
        assert_eq!(parse(CHROME), 13);
        bencher.counter(BytesCount::of_slice(CHROME)).bench_local(|| parse(black_box(CHROME)));
    }

    #[divan::bench]
    fn barews(bencher: Bencher) {
        bench(bencher, |bytes| {
            let mut parser = HeadParser::new(HeadLimits::default());
            let (_, head) = parser.feed(bytes).expect("a valid head");
            head.expect("a whole head").headers().count()
        });
    }

    /// Lines cut at colons, with no rule looked at.
    #[divan::bench]
    fn naive(bencher: Bencher) {
        bench(bencher, |bytes| {
            let text = str::from_utf8(bytes).expect("ASCII");
            let lines = text.split("\r\n").skip(1).filter_map(|line| line.split_once(':'));
            let fields: Vec<_> =
                lines.map(|(name, value)| (name.to_lowercase(), value.trim().to_owned())).collect();
            black_box(fields).len()
        });
    }

    #[divan::bench]
    fn httparse(bencher: Bencher) {
        bench(bencher, |bytes| {
            let mut headers = [httparse::EMPTY_HEADER; 100];
            let mut request = httparse::Request::new(&mut headers);
            assert!(request.parse(bytes).expect("a valid head").is_complete());
            black_box(request).headers.len()
        });
    }
}

mod handshake {
    use std::hint::black_box;

    use barews::http::{Accept, HeadLimits, HeadParser, check};
    use barews_benches::sample::{ACCEPT_KEY, CHROME};
    use divan::Bencher;

    use crate::memory::Memory;

    fn bench(bencher: Bencher, answer: fn(&[u8]) -> Vec<u8>) {
        let reply = String::from_utf8(answer(CHROME)).expect("ASCII");
        assert!(reply.starts_with("HTTP/1.1 101 ") && reply.contains(ACCEPT_KEY));
        bencher.bench_local(|| answer(black_box(CHROME)));
    }

    #[divan::bench]
    fn barews(bencher: Bencher) {
        bench(bencher, |bytes| {
            let mut parser = HeadParser::new(HeadLimits::default());
            let (_, head) = parser.feed(bytes).expect("a valid head");
            let head = head.expect("a whole head");
            let handshake = check(&head).expect("a valid handshake");
            handshake.encode(&head, &Accept::new(), None).expect("a valid reply")
        });
    }

    /// Together with the connection that comes of it.
    #[divan::bench]
    fn tungstenite(bencher: Bencher) {
        bench(bencher, |bytes| {
            let Ok(mut socket) = tungstenite::accept(Memory::new(bytes)) else {
                panic!("a valid handshake");
            };
            std::mem::take(&mut socket.get_mut().output)
        });
    }
}
