use super::*;

fn refusal_name(refusal: HandshakeError) -> String {
    refused(&UpgradeError::Refused(refusal))
}

/// Dashboards stand on these names, which follow the library's.
#[test]
fn the_names_of_heads_that_are_refused() {
    use HeadError::*;
    for (refusal, name) in [
        (RequestLineTooLong, "request_line_too_long"),
        (HeaderLineTooLong, "header_line_too_long"),
        (TooManyHeaders, "too_many_headers"),
        (HeadTooLarge, "head_too_large"),
        (BareLf, "bare_lf"),
        (BareCr, "bare_cr"),
        (EmptyLines, "empty_lines"),
        (TlsClientHello, "tls_client_hello"),
        (Http2Preface, "http2_preface"),
        (InvalidMethod, "invalid_method"),
        (InvalidTarget, "invalid_target"),
        (UserInfo, "user_info"),
        (InvalidVersion, "invalid_version"),
        (HeadError::UnsupportedVersion, "unsupported_http_version"),
        (LeadingSpace, "leading_space"),
        (FoldedLine, "folded_line"),
        (EmptyName, "empty_name"),
        (SpaceInName, "space_in_name"),
        (InvalidName, "invalid_name"),
        (MissingColon, "missing_colon"),
        (InvalidValue, "invalid_value"),
    ] {
        assert_eq!(refusal_name(HandshakeError::Head(refusal)), name);
    }
}

#[test]
fn the_names_of_handshakes_that_are_refused() {
    use HandshakeError::*;
    for (refusal, name) in [
        (MissingHost, "missing_host"),
        (RepeatedHost, "repeated_host"),
        (InvalidHost, "invalid_host"),
        (InvalidAuthority, "invalid_authority"),
        (TransferEncoding, "transfer_encoding"),
        (RepeatedContentLength, "repeated_content_length"),
        (InvalidContentLength, "invalid_content_length"),
        (Body, "body"),
        (Expectation, "expectation"),
        (RepeatedOrigin, "repeated_origin"),
        (NotWebSocket, "not_web_socket"),
        (MethodNotGet, "method_not_get"),
        (HttpTooOld, "http_too_old"),
        (MissingUpgrade, "missing_upgrade"),
        (InvalidUpgrade, "invalid_upgrade"),
        (UpgradeNotWebSocket, "upgrade_not_web_socket"),
        (InvalidConnection, "invalid_connection"),
        (ConnectionNotUpgrade, "connection_not_upgrade"),
        (MissingVersion, "missing_version"),
        (RepeatedVersion, "repeated_version"),
        (HandshakeError::UnsupportedVersion, "unsupported_version"),
        (MissingKey, "missing_key"),
        (RepeatedKey, "repeated_key"),
        (InvalidKey, "invalid_key"),
        (InvalidSubprotocol, "invalid_subprotocol"),
        (RepeatedSubprotocol, "repeated_subprotocol"),
        (InvalidExtensions, "invalid_extensions"),
        (OriginNotAllowed, "origin_not_allowed"),
    ] {
        assert_eq!(refusal_name(refusal), name);
    }
}

#[test]
fn the_names_of_protocol_errors() {
    use ProtocolError::*;
    for (error, name) in [
        (ReservedBits(4), "reserved_bits"),
        (ReservedOpCode(3), "reserved_op_code"),
        (Unmasked, "unmasked"),
        (FragmentedControl, "fragmented_control"),
        (OversizedControl(126), "oversized_control"),
        (LengthNotMinimal(5), "length_not_minimal"),
        (LengthTooLarge(1 << 63), "length_too_large"),
        (UnexpectedContinuation, "unexpected_continuation"),
        (UnfinishedMessage, "unfinished_message"),
        (CloseTooShort, "close_too_short"),
        (ProtocolError::CloseCode(999), "close_code"),
        (CloseReasonNotUtf8, "close_reason_not_utf8"),
        (TextNotUtf8, "text_not_utf8"),
        (MessageTooBig(1), "message_too_big"),
        (TooManyFragments(1), "too_many_fragments"),
        #[cfg(feature = "deflate")]
        (NotDeflate, "not_deflate"),
        #[cfg(feature = "deflate")]
        (IncompleteDeflate, "incomplete_deflate"),
    ] {
        assert_eq!(variant(&error), name);
    }
}

/// None is forgotten: the library's own list of variants is the judge.
#[test]
fn each_protocol_error_is_known_beforehand() {
    let source = include_str!("../../../../proto/error.rs");
    let source = source.split_once("pub enum ProtocolError {").unwrap().1;
    let variants = source.split_once("\n}\n").unwrap().0.lines().filter_map(|line| {
        let name = line.strip_prefix("    ")?.trim_end_matches(',');
        name.starts_with(|c: char| c.is_ascii_uppercase()).then(|| label(name))
    });
    let mut variants: Vec<_> = variants.collect();
    if cfg!(not(feature = "deflate")) {
        variants.retain(|name| !name.ends_with("_deflate"));
    }
    let mut known: Vec<_> = violations().collect();
    variants.sort();
    known.sort();
    assert_eq!(variants, known);
}

#[test]
fn what_peers_choose_makes_no_series() {
    let known: Vec<_> = statuses().collect();
    for code in 200..600 {
        assert!(known.contains(&status(code)), "{code}");
    }
    assert_eq!((status(404), status(418)), ("404".to_owned(), "4xx".to_owned()));
    let known: Vec<_> = close_codes().collect();
    for code in (0..=u16::MAX).map(CloseCode) {
        let sendable = code.is_sendable() || [1005, 1006].contains(&code.0);
        assert!(!sendable || known.contains(&close_code(code)), "{code}");
    }
}

#[cfg(feature = "tls")]
#[test]
fn failures_of_tls() {
    for (name, label) in [
        ("PeerIncompatible(NoCipherSuitesInCommon)", "tls_peer_incompatible"),
        ("AlertUnknownCA", "tls_alert_unknown_ca"),
        ("AlertUnknown(200)", "tls_alert_other"),
        ("Other(OtherError)", "tls_other"),
        ("FailedToGetCurrentTime", "tls_other"),
    ] {
        assert_eq!(tls_failure(name), label);
    }
}
