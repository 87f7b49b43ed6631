//! What this build has of what may be left out, and what it says to those who ask for the rest.

/// What it was built with.
pub const BUILT_IN: &[&str] = &[
    #[cfg(feature = "backplane")]
    "backplane",
    #[cfg(feature = "deflate")]
    "deflate",
    #[cfg(feature = "event-loop")]
    "event-loop",
    #[cfg(feature = "tls")]
    "tls",
];

/// What it lacks.
const LACKING: &[&str] = &[
    #[cfg(not(feature = "backplane"))]
    "backplane",
    #[cfg(not(feature = "deflate"))]
    "deflate",
    #[cfg(not(feature = "event-loop"))]
    "event-loop",
    #[cfg(not(feature = "tls"))]
    "tls",
];

/// Turn on what this build may lack, unless they say no. Who has one of the last four wants nothing
/// to go unencrypted, or rooms to be shared.
pub const SWITCHES: [&str; 6] = [
    "BAREWS_DEFLATE",
    "BAREWS_ENGINE",
    "BAREWS_TLS_SELF_SIGNED",
    "BAREWS_TLS_CERT",
    "BAREWS_TLS_KEY",
    "BAREWS_BACKPLANE",
];

/// The feature that an option belongs to and this build lacks, if it is one; its name is without its
/// `--` or prefix.
pub fn lacking(name: &str) -> Option<&'static str> {
    let name = name.to_ascii_lowercase().replace('_', "-");
    let is_of = |feature: &&&str| {
        // Its options need not be called as it is.
        let prefix = if **feature == "event-loop" { "engine" } else { feature };
        name.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
    };
    LACKING.iter().find(is_of).copied()
}

/// What is wrong with asking for what is not in this build.
pub fn without(source: &str, feature: &str) -> String {
    format!("{source} is not in this build, but in: cargo build --release --features {feature}")
}

#[cfg(test)]
mod tests {
    use super::super::options::Options;
    use super::super::{Command, parse};
    use super::*;

    fn parsed(args: &[&str], env: &[(&str, &str)]) -> Result<Options, String> {
        let env: Vec<_> = env.iter().map(|(name, value)| (name.into(), value.into())).collect();
        match parse(args.iter().map(Into::into), &env)? {
            Command::Serve(options) => Ok(*options),
            other => panic!("{other:?}"),
        }
    }

    #[cfg(not(all(
        feature = "backplane",
        feature = "deflate",
        feature = "event-loop",
        feature = "tls"
    )))]
    #[track_caller]
    fn assert_lacks(feature: &str, args: &[&str], env: &[(&str, &str)], source: &str) {
        let told = parsed(args, env).unwrap_err();
        let build = format!("cargo build --release --features {feature}");
        assert_eq!(told, format!("{source} is not in this build, but in: {build}"));
    }

    #[test]
    fn each_feature_is_there_or_not() {
        let mut all = [BUILT_IN, LACKING].concat();
        all.sort_unstable();
        assert_eq!(all, ["backplane", "deflate", "event-loop", "tls"]);
        for name in ["deflation", "tlsx", "", "listen"] {
            assert_eq!(lacking(name), None, "{name}");
        }
    }

    /// Nor are rooms those of one process only, unsaid.
    #[cfg(not(feature = "backplane"))]
    #[test]
    fn the_backplane_is_in_another_build() {
        for arg in ["--backplane", "--backplane=redis://a", "--backplane-queue=1M"] {
            assert_lacks("backplane", &[arg], &[], arg.split('=').next().unwrap());
        }
        let variable = "BAREWS_BACKPLANE";
        assert_lacks("backplane", &[], &[(variable, "redis://a")], variable);
        assert!(parsed(&[], &[(variable, "")]).unwrap().warnings.is_empty());
    }

    /// What was built without compression says how to build it with, whoever asks.
    #[cfg(not(feature = "deflate"))]
    #[test]
    fn compression_is_in_another_build() {
        for arg in ["--deflate", "--deflate=1", "--deflate-level=3", "--deflate-what"] {
            assert_lacks("deflate", &[arg], &[], arg.split('=').next().unwrap());
        }
        assert_lacks("deflate", &["--help", "deflate"], &[], "--deflate");
        let deflate = "BAREWS_DEFLATE";
        assert_lacks("deflate", &[], &[(deflate, "on")], deflate);
        let told = parsed(&[], &[(deflate, "x")]).unwrap_err();
        assert_eq!(told, "BAREWS_DEFLATE: \"x\" is not 1 or 0");
        // It is as it was told to be.
        for value in ["", "0", "off"] {
            assert!(parsed(&[], &[(deflate, value)]).unwrap().warnings.is_empty(), "{value}");
        }
        let level = "BAREWS_DEFLATE_LEVEL";
        let warnings = parsed(&[], &[(level, "3")]).unwrap().warnings;
        assert_eq!(warnings, [without(level, "deflate")]);
        assert_eq!(parsed(&["--deflat"], &[]).unwrap_err(), "there is no option --deflat");
    }

    /// Nor does it serve with another engine than it was told to.
    #[cfg(not(feature = "event-loop"))]
    #[test]
    fn the_event_loop_is_in_another_build() {
        for arg in ["--engine", "--engine=event-loop", "--engine=threads"] {
            assert_lacks("event-loop", &[arg], &[], "--engine");
        }
        assert_lacks("event-loop", &["--help", "engine"], &[], "--engine");
        let engine = "BAREWS_ENGINE";
        assert_lacks("event-loop", &[], &[(engine, "event-loop")], engine);
        let told = parsed(&[], &[(engine, "x")]).unwrap_err();
        assert_eq!(told, "BAREWS_ENGINE: \"x\" is not threads or event-loop");
        for value in ["", "threads"] {
            assert!(parsed(&[], &[(engine, value)]).unwrap().warnings.is_empty(), "{value}");
        }
    }

    /// Nor does it go on in the clear.
    #[cfg(not(feature = "tls"))]
    #[test]
    fn tls_is_in_another_build() {
        for arg in ["--tls-cert=a", "--tls-key", "--tls-self-signed", "--tls", "--tls-what"] {
            assert_lacks("tls", &[arg], &[], arg.split('=').next().unwrap());
        }
        assert_lacks("tls", &["--help", "tls"], &[], "--tls");
        for (name, value) in [
            ("BAREWS_TLS_CERT", "a.pem"),
            ("BAREWS_TLS_KEY", "a.pem"),
            ("BAREWS_TLS_SELF_SIGNED", "1"),
            ("BAREWS_TLS_SELF_SIGNED", "a.example"),
        ] {
            assert_lacks("tls", &[], &[(name, value)], name);
        }
        let off = [("BAREWS_TLS_SELF_SIGNED", "0"), ("BAREWS_TLS_CERT", "")];
        assert!(parsed(&[], &off).unwrap().warnings.is_empty());
        let other = parsed(&[], &[("BAREWS_TLS_WHAT", "1")]).unwrap().warnings;
        assert_eq!(other, [without("BAREWS_TLS_WHAT", "tls")]);
    }

    #[cfg(feature = "tls")]
    #[test]
    fn names_for_a_certificate() {
        let names = |args: &[&str]| parsed(args, &[]).map(|options| options.tls.self_signed);
        assert_eq!(names(&[]), Ok(None));
        assert_eq!(names(&["--tls-self-signed=0"]), Ok(None));
        assert_eq!(names(&["--tls-self-signed"]), Ok(Some(Vec::new())));
        // What follows is an address, as behind any option without a value.
        let with_address = parsed(&["--tls-self-signed", "a.example:1"], &[]).unwrap();
        assert_eq!((with_address.tls.self_signed, with_address.listen.len()), (Some(vec![]), 1));
        let given = names(&["--tls-self-signed=a.example, *.b.example,10.0.0.1,::1"]);
        let all = ["a.example", "*.b.example", "10.0.0.1", "::1"].map(str::to_owned);
        assert_eq!(given, Ok(Some(all.to_vec())));
        for wrong in ["a.example,", "a b", "1.2.3", "https://a", "a:1", "[::1]", "*", "a.*.b"] {
            let told = names(&[&format!("--tls-self-signed={wrong}")]).unwrap_err();
            let right = "1, 0, or names and addresses with commas between";
            assert_eq!(told, format!("--tls-self-signed: {wrong:?} is not {right}"));
        }
        let env = parsed(&[], &[("BAREWS_TLS_SELF_SIGNED", "a.example")]).unwrap();
        assert_eq!(env.tls.self_signed, Some(vec!["a.example".to_owned()]));
        let told = parsed(&["--tls-cert="], &[]).map(drop);
        assert_eq!(told, Err("--tls-cert: \"\" is not the name of a file".to_owned()));
    }
}
