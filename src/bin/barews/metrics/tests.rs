use super::*;
use barews::ProtocolError;
use barews::http::{HandshakeError, HeadError};

#[test]
fn counts_of_open_and_ended_connections_add_up() {
    let metrics = Metrics::new();
    let (first, one) = metrics.opened(Duration::from_micros(700), None);
    let (_, two) = metrics.opened(Duration::from_secs(60), None);
    one.received.add(1, 5);
    one.sent.add(1, 7);
    two.received.add(1, 10);
    let error = Error::Protocol(ProtocolError::TextNotUtf8);
    metrics.ended(first, Duration::from_secs(1), CloseCode(3999), Some(&error));
    let text = metrics.text();
    for line in [
        "barews_connections 1",
        "barews_connections_opened_total 2",
        "barews_messages_received_total 2",
        "barews_received_bytes_total 15",
        "barews_messages_sent_total 1",
        "barews_sent_bytes_total 7",
        "barews_closed_total{code=\"3xxx\"} 1",
        "barews_violations_total{kind=\"text_not_utf8\"} 1",
        "barews_handshake_duration_seconds_bucket{le=\"0.0005\"} 0",
        "barews_handshake_duration_seconds_bucket{le=\"0.001\"} 1",
        "barews_handshake_duration_seconds_bucket{le=\"10\"} 1",
        "barews_handshake_duration_seconds_bucket{le=\"+Inf\"} 2",
        "barews_handshake_duration_seconds_count 2",
        "barews_connection_duration_seconds_bucket{le=\"0.1\"} 0",
        "barews_connection_duration_seconds_bucket{le=\"1\"} 1",
        "barews_connection_duration_seconds_sum 1",
    ] {
        assert!(text.lines().any(|other| other == line), "{line} in:\n{text}");
    }
}

#[test]
fn refusals_are_counted_by_their_reason() {
    let metrics = Metrics::new();
    metrics.count(Event::Refused, refused(&UpgradeError::Refused(HandshakeError::MissingKey)));
    metrics.count(
        Event::Refused,
        refused(&UpgradeError::Refused(HandshakeError::Head(HeadError::BareLf))),
    );
    metrics.count(Event::Refused, refused(&UpgradeError::TimedOut));
    metrics.count(Event::Refused, refused(&UpgradeError::TooManyConnections));
    metrics.count(Event::Refused, refused(&UpgradeError::TooManyConnections));
    metrics.count(Event::Refused, refused(&UpgradeError::Rejected(barews::Status::FORBIDDEN)));
    metrics.count(Event::Refused, refused(&UpgradeError::Rejected(barews::Status::BAD_REQUEST)));
    metrics.count(
        Event::Refused,
        refused(&UpgradeError::Io(std::io::ErrorKind::UnexpectedEof.into())),
    );
    let text = metrics.text();
    let refused: Vec<_> =
        text.lines().filter_map(|line| line.strip_prefix("barews_refused_total{reason=")).collect();
    assert_eq!(
        refused,
        [
            "\"answered_400\"} 1",
            "\"answered_403\"} 1",
            "\"bare_lf\"} 1",
            "\"io\"} 1",
            "\"missing_key\"} 1",
            "\"timed_out\"} 1",
            "\"too_many_connections\"} 2",
        ]
    );
}

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
