//! A certificate and its key in files: what may be wrong with them, and how they are read anew.

use std::fs;
use std::path::{Path, PathBuf};

use barews::SelfSigned;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd,
};

use crate::common::{Binary, command};
use crate::os_edges::complaint;
use crate::plain::metric;
use crate::tls::{connect, echo, get, handshake, metrics_once, say, serve, trusting};

/// A folder that ends with the test.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("barews-tls-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir(&folder).expect("a folder");
        Self(folder)
    }

    /// Writes a file that only its owner may read.
    fn write(&self, name: &str, text: impl AsRef<[u8]>) -> String {
        let path = self.0.join(name);
        fs::write(&path, text).expect("write");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;

            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("a mode");
        }
        self.path(name)
    }

    fn path(&self, name: &str) -> String {
        self.0.join(name).to_str().expect("UTF-8").to_owned()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn pem(label: &str, der: &[u8]) -> String {
    let mut digits = vec![0; der.len().div_ceil(3) * 4];
    STANDARD.encode_slice(der, &mut digits).expect("room");
    let mut text = format!("-----BEGIN {label}-----\n");
    for line in digits.chunks(64) {
        text += std::str::from_utf8(line).expect("ASCII");
        text += "\n";
    }
    text + &format!("-----END {label}-----\n")
}

/// A certificate that an authority has signed: its chain, the leaf first, and its key.
fn signed(change: impl FnOnce(&mut CertificateParams)) -> (String, String, String) {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(DnType::CommonName, "an authority");
    let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let mut params = CertificateParams::new(["localhost".to_owned()]).unwrap();
    params.distinguished_name.push(DnType::CommonName, "a server");
    change(&mut params);
    let key = KeyPair::generate().unwrap();
    let leaf = params.signed_by(&key, &issuer).unwrap();
    let certificate = |der: &[u8]| pem("CERTIFICATE", der);
    (certificate(leaf.der()), certificate(issuer.der()), pem("PRIVATE KEY", key.serialized_der()))
}

fn options<'a>(cert: &'a str, key: &'a str) -> [&'a str; 4] {
    ["--tls-cert", cert, "--tls-key", key]
}

#[test]
fn a_chain_from_files() {
    let folder = Folder::new("chain");
    let (leaf, issuer, key) = signed(|_| ());
    let config = trusting(&issuer);
    // In one file or two, in any order of the key and the chain, with text between.
    let cert = folder.write("chain.pem", format!("The server:\n{leaf}\nIts issuer:\n{issuer}"));
    let key_alone = folder.write("key.pem", &key);
    let both = folder.write("both.pem", format!("{key}{leaf}{issuer}"));
    for args in [options(&cert, &key_alone), options(&both, &both)] {
        let (binary, lines) = serve(&args);
        assert_eq!(lines.len(), 1, "{lines:?}");
        assert!(lines[0].starts_with("barews: certificate for localhost until "), "{lines:?}");
        let mut client = connect(&binary, &config);
        echo(&mut client);
        client.finish();
        // It is not ours to hand out, and clients know its issuer.
        assert_eq!(get(&binary, &config, "/cert.pem").status, 404);
        binary.stop();
    }
}

#[test]
fn what_is_wrong_with_a_file_is_told_with_what_would_be_right() {
    let folder = Folder::new("wrong");
    let made = SelfSigned::new(["localhost"]).unwrap();
    let (cert, key) = (made.certificate_pem(), made.key_pem());
    let (leaf, issuer, leaf_key) = signed(|_| ());
    let der = made.certificate_der();
    let good = options_of(&folder, &cert, &key);
    for (name, text, wrong) in [
        ("empty", &b""[..], "is empty"),
        ("text", b"hello", "has no certificate in it (-----BEGIN CERTIFICATE-----)"),
        ("der", der, "is not PEM but DER, which openssl turns into it: openssl x509 -inform der"),
        ("key", key.as_bytes(), "has a private key in it and no certificate: are the two files"),
        ("base64", &cert.replace('M', "!").into_bytes(), "is damaged: "),
        ("cut", &cert.as_bytes()[..cert.len() / 2], "is damaged: "),
        ("none", pem("CERTIFICATE", b"hello").as_bytes(), "its certificate 1 is none (X.509)"),
        ("half", pem("CERTIFICATE", &der[..der.len() - 1]).as_bytes(), "its certificate 1 is none"),
        ("csr", pem("CERTIFICATE REQUEST", b"a").as_bytes(), "is a request for a certificate, not"),
        ("large", &vec![b'\n'; (1 << 20) + 1], "has more than 1048576 bytes: is it the right file"),
    ] {
        let path = folder.write(name, text);
        assert_told(&path, &good.1, &format!("--tls-cert {path}: {wrong}"));
    }
    for (name, text, wrong) in [
        ("empty", &b""[..], "is empty"),
        ("text", b"hello", "has no private key in it (-----BEGIN PRIVATE KEY-----)"),
        ("der", b"\x30\x82", "is not PEM but DER: openssl pkey -inform der"),
        ("cert", cert.as_bytes(), "has a certificate in it and no private key: are the two files"),
        ("cut", &key.as_bytes()[..key.len() / 2], "is damaged: "),
        ("kind", pem("PRIVATE KEY", b"hello").as_bytes(), "is of no kind that there is here: RSA"),
        ("ssh", pem("OPENSSH PRIVATE KEY", b"a").as_bytes(), "is a key for SSH: openssl genpkey"),
        (
            "pkcs8",
            pem("ENCRYPTED PRIVATE KEY", b"a").as_bytes(),
            "is encrypted, and there is nobody",
        ),
        (
            "rfc1421",
            b"-----BEGIN EC PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n",
            "is encrypted, and there is nobody to ask for the passphrase: openssl pkey -in",
        ),
        ("other", leaf_key.as_bytes(), "belongs to no certificate in "),
    ] {
        let path = folder.write(name, text);
        assert_told(&good.0, &path, &format!("--tls-key {path}: {wrong}"));
    }
    let missing = folder.path("missing");
    assert_told(&missing, &good.1, &format!("--tls-cert {missing}: cannot be read: "));
    assert_told(&good.0, &missing, &format!("--tls-key {missing}: cannot be read: "));
    let directory = folder.path("");
    assert_told(&good.0, &directory, &format!("--tls-key {directory}: cannot be read: "));
    // The authority before the server.
    let swapped = folder.write("order", format!("{issuer}{leaf}"));
    let leaf_key = folder.write("leaf.key", leaf_key);
    let wrong = format!("belongs to certificate 2 in {swapped}: that one has to come first there");
    assert_told(&swapped, &leaf_key, &format!("--tls-key {leaf_key}: {wrong}"));
}

/// What never ends is not read to its end.
#[cfg(target_os = "linux")]
#[test]
fn a_device_is_no_certificate() {
    let wrong = "--tls-cert /dev/zero: has more than 1048576 bytes";
    assert_told("/dev/zero", "/dev/zero", wrong);
}

fn options_of(folder: &Folder, cert: &str, key: &str) -> (String, String) {
    (folder.write("good.crt", cert), folder.write("good.key", key))
}

/// The program ends with one line, before it listens.
#[track_caller]
fn assert_told(cert: &str, key: &str, wrong: &str) {
    let told = complaint(&mut command(&[&options(cert, key)[..], &["127.0.0.1:0"]].concat()));
    assert!(told.starts_with(&format!("barews: {wrong}")), "{told}, and not: {wrong}");
}

#[test]
fn what_clients_may_mind_is_warned_about() {
    let folder = Folder::new("warned");
    let (leaf, issuer, key) = signed(|_| ());
    let (_, other, _) = signed(|_| ());
    let old = signed(|params| {
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(2021, 2, 3);
    });
    let new = signed(|params| params.not_before = date_time_ymd(2200, 1, 1));
    let nameless = signed(|params| params.subject_alt_names.clear());
    for (chain, key, warning) in [
        (&old.0, &old.2, "has expired on 2021-02-03T00:00:00Z: clients refuse it"),
        (&new.0, &new.2, "holds only from 2200-01-01T00:00:00Z on: clients refuse it until then"),
        (&nameless.0, &nameless.2, "has no subjectAltName: clients of this century refuse it"),
        // Names are compared, and not who has signed what.
        (&format!("{leaf}{key}{other}"), &key, ""),
        (
            &format!("{leaf}{leaf}{issuer}"),
            &key,
            "its certificate 2 is not the issuer of its certificate 1, which is what should follow",
        ),
    ] {
        let (cert, key) = options_of(&folder, chain, key);
        let (binary, lines) = serve(&options(&cert, &key));
        match warning {
            "" => assert_eq!(lines.len(), 1, "{lines:?}"),
            warning => {
                assert_eq!(lines.len(), 2, "{lines:?}");
                let start = format!("barews: --tls-cert {cert}: {warning}");
                assert!(lines[1].starts_with(&start), "{lines:?}");
            }
        }
        binary.stop();
    }
}

/// A group may be how the key comes to the program, but nobody means everyone.
#[cfg(unix)]
#[test]
fn a_key_that_everyone_may_read_is_warned_about() {
    use std::os::unix::fs::PermissionsExt;

    let folder = Folder::new("mode");
    let made = SelfSigned::new(["localhost"]).unwrap();
    let (cert, key) = options_of(&folder, &made.certificate_pem(), &made.key_pem());
    for (mode, is_open) in [(0o600, false), (0o640, false), (0o644, true), (0o602, true)] {
        fs::set_permissions(&key, fs::Permissions::from_mode(mode)).unwrap();
        let (binary, lines) = serve(&options(&cert, &key));
        let warning = format!("barews: --tls-key {key}: is open to every user (mode {mode:o}): ");
        assert_eq!(lines.len(), 1 + usize::from(is_open), "{lines:?}");
        assert!(!is_open || lines[1].starts_with(&warning), "{lines:?}");
        binary.stop();
    }
}

#[cfg(target_os = "linux")]
mod reloads {
    use super::*;
    use crate::common::tls::session;
    use crate::os_edges::after;

    /// A program with a certificate in files that are then replaced.
    struct Reloading {
        folder: Folder,
        binary: Binary,
        cert: String,
        key: String,
    }

    impl Reloading {
        fn start(name: &str, made: &SelfSigned) -> Self {
            let folder = Folder::new(name);
            let (cert, key) = options_of(&folder, &made.certificate_pem(), &made.key_pem());
            let (binary, _) = serve(&options(&cert, &key));
            Self { folder, binary, cert, key }
        }

        /// Has the program read the files as they are now; what it says of that.
        fn reload(&mut self) -> String {
            self.binary.signal("HUP");
            self.binary.line_with("reloaded")
        }

        fn replace(&self, made: &SelfSigned) {
            options_of(&self.folder, &made.certificate_pem(), &made.key_pem());
        }
    }

    fn made(name: &str) -> SelfSigned {
        SelfSigned::new([name, "localhost"]).unwrap()
    }

    /// The certificate that the program shows, if its client trusts any of these.
    fn shown(binary: &Binary, of: &[&SelfSigned]) -> Vec<u8> {
        let pems: String = of.iter().map(|made| made.certificate_pem()).collect();
        let client = handshake(binary, &trusting(&pems));
        let certificates = client.conn.peer_certificates().expect("a handshake");
        certificates[0].to_vec()
    }

    #[test]
    fn new_connections_get_the_new_certificate_and_old_ones_go_on() {
        let [first, second] = ["first.example", "second.example"].map(made);
        let mut program = Reloading::start("reload", &first);
        let mut old = connect(&program.binary, &trusting(&first.certificate_pem()));
        echo(&mut old);
        program.replace(&second);
        // Nothing is read before it is asked for.
        assert_eq!(shown(&program.binary, &[&first, &second]), first.certificate_der().to_vec());
        let line = program.reload();
        let what = "barews: reloaded: certificate for second.example, localhost until 20";
        assert!(line.starts_with(what) && line.contains(", SHA-256 "), "{line}");
        assert_eq!(shown(&program.binary, &[&first, &second]), second.certificate_der().to_vec());
        say(&mut old);
        old.finish();
        let config = trusting(&second.certificate_pem());
        let reloads = "barews_tls_reloads_total{result=\"ok\"}";
        metrics_once(&program.binary, &config, reloads, 1.0);
        program.binary.stop();
    }

    #[test]
    fn what_is_broken_changes_nothing() {
        let [first, second] = ["first.example", "second.example"].map(made);
        let mut program = Reloading::start("broken", &first);
        program.folder.write("good.crt", second.certificate_pem());
        for wrong in ["belongs to no certificate", "is empty", "cannot be read"] {
            let line = program.reload();
            let start = "barews: not reloaded, the old certificate stays: --tls-key ";
            assert!(line.starts_with(start) && line.contains(wrong), "{line}");
            let shown = shown(&program.binary, &[&first, &second]);
            assert_eq!(shown, first.certificate_der().to_vec());
            match wrong {
                "is empty" => fs::remove_file(&program.key).unwrap(),
                _ => fs::write(&program.key, "").unwrap(),
            }
        }
        let config = trusting(&first.certificate_pem());
        let failed = "barews_tls_reloads_total{result=\"failed\"}";
        let text = metrics_once(&program.binary, &config, failed, 3.0);
        assert_eq!(metric(&text, "barews_tls_reloads_total{result=\"ok\"}"), 0.0);
        program.replace(&second);
        assert!(program.reload().starts_with("barews: reloaded: certificate for second.example"));
    }

    /// A session that is resumed goes on as the one who began it, and so it is with another key.
    #[test]
    fn a_session_is_resumed_after_a_reload() {
        let [first, second] = ["first.example", "second.example"].map(made);
        let mut program = Reloading::start("resumed", &first);
        let config = trusting(&first.certificate_pem());
        // What is read here has the tickets of TLS 1.3 before it.
        assert_eq!(get(&program.binary, &config, "/healthz").status, 200);
        program.replace(&second);
        program.reload();
        assert_eq!(get(&program.binary, &config, "/healthz").status, 200);
        assert!(session(&config).is_handshaking());
    }

    /// With files SIGHUP never means the end, so it is not ignored either.
    #[test]
    fn under_nohup_too() {
        let folder = Folder::new("nohup");
        let [first, second] = ["first.example", "second.example"].map(made);
        let (cert, key) = options_of(&folder, &first.certificate_pem(), &first.key_pem());
        let options = [&options(&cert, &key)[..], &["127.0.0.1:0"]].concat();
        let (mut binary, _) = crate::tls::start(after("trap '' HUP", &options));
        options_of(&folder, &second.certificate_pem(), &second.key_pem());
        binary.signal("HUP");
        assert!(binary.line_with("reloaded").contains("second.example"));
        assert_eq!(binary.stop(), ["barews: signal 15: shutting down"]);
    }

    /// A file that is never read to its end holds up nothing but the reload itself.
    #[test]
    fn a_pipe_in_the_place_of_a_file() {
        let first = made("first.example");
        let program = Reloading::start("pipe", &first);
        fs::remove_file(&program.key).unwrap();
        let made = std::process::Command::new("mkfifo").arg(&program.key).status().expect("run");
        assert!(made.success() && Path::new(&program.cert).exists());
        for _ in 0..3 {
            program.binary.signal("HUP");
        }
        assert_eq!(shown(&program.binary, &[&first]), first.certificate_der().to_vec());
        assert_eq!(program.binary.stop(), ["barews: signal 15: shutting down"]);
    }
}
