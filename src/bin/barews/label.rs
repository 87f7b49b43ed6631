//! Labels of metrics.

use std::fmt::Debug;

use barews::UpgradeError;
use barews::http::{HandshakeError, HeadError};

/// Why a connection did not open.
pub(crate) fn refused(error: &UpgradeError) -> String {
    match error {
        // The other version that is not supported is the one of WebSocket.
        UpgradeError::Refused(HandshakeError::Head(HeadError::UnsupportedVersion)) => {
            "unsupported_http_version".to_owned()
        }
        UpgradeError::Refused(HandshakeError::Head(error)) => variant(error),
        UpgradeError::Refused(refusal) => variant(refusal),
        // The application has but a few of its own.
        UpgradeError::Rejected(status) => format!("answered_{}", status.code()),
        error => variant(error),
    }
}

/// The name of an enum's variant, in lower case with underscores.
pub(crate) fn variant(variant: &impl Debug) -> String {
    let debug = format!("{variant:?}");
    let mut label = String::new();
    for c in debug.chars().take_while(char::is_ascii_alphanumeric) {
        if c.is_ascii_uppercase() && !label.is_empty() {
            label.push('_');
        }
        label.push(c.to_ascii_lowercase());
    }
    label
}

#[cfg(test)]
mod tests {
    use super::*;
    use barews::ProtocolError;

    fn refusal_name(refusal: HandshakeError) -> String {
        refused(&UpgradeError::Refused(refusal))
    }

    /// Dashboards stand on these names, which follow the library's.
    #[test]
    fn the_names_of_refusals_and_violations() {
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
        use ProtocolError::*;
        for (violation, name) in [
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
        ] {
            assert_eq!(variant(&violation), name);
        }
    }
}
