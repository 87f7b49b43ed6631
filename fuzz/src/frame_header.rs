//! A header decodes to what an oracle says, on every prefix; and back to the same bytes.

use barews::proto::Header;
use barews::proto::frame::MAX_HEADER;

use super::reference;

pub fn check(data: &[u8]) {
    for end in 0..=data.len().min(MAX_HEADER + 2) {
        let prefix = &data[..end];
        let got = Header::decode(prefix);
        let fields = |(it, size): (Header, _)| (it.fin, it.opcode as u8, it.mask, it.len, size);
        let wanted = |it: reference::Header| (it.fin, it.opcode, it.key, it.len, it.size);
        assert_eq!(
            got.map(|it| it.map(fields)),
            reference::header(prefix).map(|it| it.map(wanted))
        );
        if let Ok(Some((header, size))) = got {
            let mut out = [0xee; MAX_HEADER];
            assert_eq!(header.encode(&mut out), size);
            assert_eq!(out[..size], prefix[..size]);
        }
    }
}
