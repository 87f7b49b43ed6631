//! What a session of TLS has agreed on.

use rustls::pki_types::CertificateDer;
use rustls::{CipherSuite, HandshakeKind, ProtocolVersion, ServerConnection};

/// What the handshake of TLS has agreed on, of [`Request::tls`](crate::Request::tls).
#[derive(Debug, Clone)]
pub struct TlsInfo {
    protocol_version: ProtocolVersion,
    cipher_suite: CipherSuite,
    server_name: Option<Box<str>>,
    alpn_protocol: Option<Box<[u8]>>,
    peer_certificates: Box<[CertificateDer<'static>]>,
    is_resumed: bool,
}

impl TlsInfo {
    /// `None` if nothing is agreed on yet.
    pub(crate) fn of(conn: &ServerConnection) -> Option<Self> {
        Some(Self {
            protocol_version: conn.protocol_version()?,
            cipher_suite: conn.negotiated_cipher_suite()?.suite(),
            server_name: conn.server_name().map(Into::into),
            alpn_protocol: conn.alpn_protocol().map(Into::into),
            peer_certificates: conn.peer_certificates().unwrap_or_default().into(),
            is_resumed: conn.handshake_kind() == Some(HandshakeKind::Resumed),
        })
    }

    /// TLS 1.2 or 1.3.
    #[must_use]
    pub fn protocol_version(&self) -> ProtocolVersion {
        self.protocol_version
    }

    /// The cipher suite.
    #[must_use]
    pub fn cipher_suite(&self) -> CipherSuite {
        self.cipher_suite
    }

    /// The name of the server that the client asked for (RFC 6066 §3). A client that was given an
    /// IP address names none.
    #[must_use]
    pub fn server_name(&self) -> Option<&str> {
        self.server_name.as_deref()
    }

    /// The protocol that was agreed on (ALPN, RFC 7301), if the client offered any and the server
    /// has any.
    #[must_use]
    pub fn alpn_protocol(&self) -> Option<&[u8]> {
        self.alpn_protocol.as_deref()
    }

    /// The client's certificate and those that lead from it to a root, in DER. Empty unless the
    /// server's settings ask for one
    /// ([`with_client_cert_verifier`](rustls::ConfigBuilder::with_client_cert_verifier)); what is
    /// here has passed their verification.
    #[must_use]
    pub fn peer_certificates(&self) -> &[CertificateDer<'static>] {
        &self.peer_certificates
    }

    /// Whether an earlier session was resumed.
    #[must_use]
    pub fn is_resumed(&self) -> bool {
        self.is_resumed
    }
}
