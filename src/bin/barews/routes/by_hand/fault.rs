//! Faults of the opening handshake, by the names that they have in the path.

/// What is odd about the 101.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HandshakeFault {
    WrongAccept,
    NoAccept,
    TwoAccepts,
    Subprotocol,
    Extension,
    NoUpgrade,
    NoConnection,
    Http10,
    LowerCase,
    UpperCase,
    Whitespace,
    Folded,
    Slow,
    WithFrame,
    Cut,
    Reset,
    Huge,
}

impl HandshakeFault {
    pub const ALL: [Self; 17] = [
        Self::WrongAccept,
        Self::NoAccept,
        Self::TwoAccepts,
        Self::Subprotocol,
        Self::Extension,
        Self::NoUpgrade,
        Self::NoConnection,
        Self::Http10,
        Self::LowerCase,
        Self::UpperCase,
        Self::Whitespace,
        Self::Folded,
        Self::Slow,
        Self::WithFrame,
        Self::Cut,
        Self::Reset,
        Self::Huge,
    ];

    /// As it stands in the path.
    pub fn name(self) -> &'static str {
        match self {
            Self::WrongAccept => "wrong-accept",
            Self::NoAccept => "no-accept",
            Self::TwoAccepts => "two-accepts",
            Self::Subprotocol => "subprotocol",
            Self::Extension => "extension",
            Self::NoUpgrade => "no-upgrade",
            Self::NoConnection => "no-connection",
            Self::Http10 => "http10",
            Self::LowerCase => "lower-case",
            Self::UpperCase => "upper-case",
            Self::Whitespace => "whitespace",
            Self::Folded => "folded",
            Self::Slow => "slow",
            Self::WithFrame => "with-frame",
            Self::Cut => "cut",
            Self::Reset => "reset",
            Self::Huge => "huge",
        }
    }

    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|fault| fault.name() == name)
    }
}
