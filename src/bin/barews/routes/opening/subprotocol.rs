//! Which of the subprotocols that a client offers is agreed to (§4.2.2 item 4).
//!
//! A client that offers some and gets none back has failed, by the WHATWG's rules for browsers and
//! those of many libraries. A test endpoint does not mind what is spoken, so it agrees to the first
//! one offered unless it is told otherwise.

use barews::Request;

use crate::routes::values::{decode_segment, is_token};

/// What the options say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Subprotocols {
    /// The first one offered.
    #[default]
    First,
    /// The first one offered that is one of these.
    Listed(Vec<String>),
    /// None, whatever is offered.
    None,
}

/// What stands for none at all, so that a subprotocol of this name is only found by being first.
const NONE: &str = "none";

impl Subprotocols {
    /// Takes a value of the option, or tells what would be right.
    pub fn add(&mut self, name: &str) -> Result<(), &'static str> {
        match (&mut *self, name) {
            (Self::First | Self::None, NONE) => *self = Self::None,
            (Self::First, name) if is_token(name) => *self = Self::Listed(vec![name.to_owned()]),
            (Self::Listed(names), name) if name != NONE && is_token(name) => {
                names.push(name.to_owned());
            }
            (Self::None, _) | (_, NONE) => return Err("to be had: none goes with no other"),
            _ => return Err("a subprotocol's name (letters, digits, - . _ and the like) or none"),
        }
        Ok(())
    }

    /// The one to agree to, or a line on what would be right: the query of a request decides before
    /// the options do.
    pub fn select(&self, request: &Request) -> Result<Option<String>, String> {
        // The handshake let nothing through but tokens, which are ASCII.
        let offered = request.header_list("Sec-WebSocket-Protocol");
        let mut offered = offered.map(|name| String::from_utf8_lossy(name).into_owned());
        Ok(match requested(request.query())? {
            Some(name) if name == NONE => None,
            Some(name) => match offered.any(|offer| offer == name) {
                true => Some(name),
                false => return Err(format!("the client does not offer the subprotocol {name}")),
            },
            None => match self {
                Self::First => offered.next(),
                Self::Listed(names) => offered.find(|offer| names.contains(offer)),
                Self::None => None,
            },
        })
    }
}

/// What a query asks for.
fn requested(query: Option<&str>) -> Result<Option<String>, String> {
    let pairs = query.unwrap_or("").split('&');
    let values = pairs.filter_map(|pair| pair.strip_prefix("subprotocol="));
    let mut requested = None;
    for value in values {
        // A name may have a plus in it, and no space.
        let name = decode_segment(value).filter(|name| is_token(name));
        let name =
            name.ok_or("?subprotocol= is the name of one that the client offers, or none")?;
        if requested.replace(name.into_owned()).is_some() {
            return Err("?subprotocol= is there more than once".to_owned());
        }
    }
    Ok(requested)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn added(names: &[&str]) -> Result<Subprotocols, &'static str> {
        let mut subprotocols = Subprotocols::default();
        names.iter().try_for_each(|name| subprotocols.add(name))?;
        Ok(subprotocols)
    }

    #[test]
    fn edge_af_values_of_the_option() {
        let listed = |names: &[&str]| {
            Ok(Subprotocols::Listed(names.iter().copied().map(str::to_owned).collect()))
        };
        assert_eq!(added(&[]), Ok(Subprotocols::First));
        assert_eq!(added(&["none"]), Ok(Subprotocols::None));
        assert_eq!(added(&["none", "none"]), Ok(Subprotocols::None));
        assert_eq!(added(&["mqtt", "ocpp1.6"]), listed(&["mqtt", "ocpp1.6"]));
        for wrong in [&["none", "a"], &["a", "none"]] {
            assert!(added(wrong).unwrap_err().contains("none goes with no other"));
        }
        for wrong in ["", "a b", "a,b", "a/b", "ü", "\"a\""] {
            assert!(added(&[wrong]).unwrap_err().starts_with("a subprotocol's name"), "{wrong}");
            assert!(added(&["a", wrong]).is_err(), "{wrong}");
        }
    }

    #[test]
    fn edge_af_what_a_query_asks_for() {
        for (query, name) in [
            ("", None),
            ("x=1", None),
            ("subprotocol", None),
            ("a&subprotocol=mqtt&b=2", Some("mqtt")),
            ("subprotocol=soap+xml", Some("soap+xml")),
            ("subprotocol=soap%2Bxml", Some("soap+xml")),
            ("subprotocol=none", Some("none")),
        ] {
            assert_eq!(requested(Some(query)).expect(query).as_deref(), name, "{query}");
        }
        for wrong in ["subprotocol=", "subprotocol=a%20b", "subprotocol=%ff"] {
            assert!(requested(Some(wrong)).unwrap_err().contains("or none"), "{wrong}");
        }
        assert!(
            requested(Some("subprotocol=a&subprotocol=b")).unwrap_err().contains("more than once")
        );
    }
}
