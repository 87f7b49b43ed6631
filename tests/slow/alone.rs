//! Connections without a server: which an engine has no part in.

#[cfg(unix)]
mod unix_sockets {
    use std::io::{Read, Write};
    use std::os::unix::net::UnixStream;
    use std::thread;
    use std::time::{Duration, Instant};

    use barews::{Accept, Deadline, Error, Upgrade};

    use crate::common::{ms, r0, with_timeouts};

    /// Through a Unix-domain socket, where Linux grants a write its timeout anew for each of its
    /// buffers: a peer that takes 5 KiB a second is cut when the time for the message has passed.
    #[test]
    fn edge_a_the_write_deadline_holds_for_unix_sockets() {
        const LEN: usize = 512 << 10;
        let config = with_timeouts(|timeouts| timeouts.write = ms(1000));
        let (ours, mut theirs) = UnixStream::pair().expect("a pair");
        theirs.write_all(&r0().bytes()).expect("there is room");
        let mut conn = Upgrade::handshake(ours, &config)
            .and_then(|upgrade| upgrade.accept(&Accept::new()))
            .expect("a request");
        let reader = thread::spawn(move || {
            let mut bytes = [0; 512];
            while theirs.read(&mut bytes).is_ok_and(|len| len > 0) {
                thread::sleep(ms(100));
            }
        });
        let start = Instant::now();
        let sent = conn.send(&vec![7; LEN]);
        let spent = start.elapsed();
        assert!(matches!(sent, Err(Error::DeadlineExceeded(Deadline::Write))), "{sent:?}");
        let allowed = Duration::from_secs(1 + (LEN as u64 >> 16));
        assert!((allowed - ms(100)..allowed + ms(2000)).contains(&spent), "{spent:?}");
        drop(conn);
        reader.join().expect("no panic");
    }
}

#[cfg(feature = "deflate")]
mod compression {
    use crate::common::compressed::{compressed_pair, compressing, read_message};
    use crate::common::deflate::Inflater;
    use crate::common::{Frame, noise};

    /// Row 73: no distance is longer than the window allows, for any window, level and history.
    #[test]
    fn row_73_the_longest_distance() {
        let words: Vec<String> = (0..3000).map(|n| format!("w{:x}", n * 7919 % 65_521)).collect();
        let random: Vec<u8> = noise(1).take(60_000).collect();
        let word = |at: &[u8]| {
            words[(usize::from(at[0]) << 8 | usize::from(at[1])) % words.len()].as_str()
        };
        let text = random.chunks(2).map(word).collect::<Vec<_>>();
        let texts: Vec<String> =
            [300, 1200, 60, 12_000, 5, 3000, 700].map(|len| text[..len].concat()).to_vec();
        for bits in 8..=15 {
            let most = (1_usize << bits).saturating_sub(262).max(250);
            for level in 1..=9 {
                for history in [0, 1, 100, 2 << 10, 32 << 10] {
                    let config = compressing(|_, deflate| {
                        (deflate.level, deflate.history) = (level, history)
                    });
                    let offer = format!("permessage-deflate; server_max_window_bits={bits}");
                    let (mut conn, mut client) = compressed_pair(&config, &offer);
                    let mut inflater = Inflater::new(bits, history > 0);
                    for text in texts.iter().chain(&texts) {
                        conn.send(text).expect("sent");
                        assert!(read_message(&mut client, &mut inflater).2 == Frame::text(text));
                    }
                    assert!(
                        inflater.longest <= most,
                        "{bits} bits: {} is more than {most}",
                        inflater.longest
                    );
                }
            }
        }
    }
}
