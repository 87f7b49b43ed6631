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
    metrics.count_refused(&UpgradeError::Refused(HandshakeError::MissingKey));
    metrics.count_refused(&UpgradeError::Refused(HandshakeError::Head(HeadError::BareLf)));
    metrics.count_refused(&UpgradeError::TimedOut);
    metrics.count_refused(&UpgradeError::TooManyConnections);
    metrics.count_refused(&UpgradeError::TooManyConnections);
    metrics.count_refused(&UpgradeError::Rejected(barews::Status::FORBIDDEN));
    metrics.count_refused(&UpgradeError::Rejected(barews::Status::BAD_REQUEST));
    metrics.count_refused(&UpgradeError::Io(std::io::ErrorKind::UnexpectedEof.into()));
    let text = metrics.text();
    let refused: Vec<_> = text
        .lines()
        .filter_map(|line| line.strip_prefix("barews_refused_total{reason="))
        .filter(|line| !line.ends_with(" 0"))
        .collect();
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
