"""How each command of the documents is run, and what must be so afterwards.

A key is the document and the first line of the command. What is run is what the document has, not what
is here: here stand the surroundings and the proof.
"""

import re
from dataclasses import dataclass

from machine import REPO

README, DEPLOY, SCALING = "README.md", "deploy/README.md", "deploy/scaling.md"
CONTRIBUTING, TESTING, FAULTS, HELP = "CONTRIBUTING.md", "docs/testing.md", "docs/handshake-faults.md", "help"


@dataclass
class How:
    """All is shell. What a command prints in its document must be printed in any case."""

    before: str = ""  # what the reader has done already
    then: str = ""  # the proof, in the same shell
    beside: str = ""  # the proof while the command runs, tried until it succeeds; then SIGTERM ends the command
    instead: str = ""  # the command with a value in place of a name such as N
    fails: bool = False  # some of its lines do, and are meant to
    ends: int = 0  # its status after SIGTERM; the examples leave that to the system
    timeout: int = 60
    ci: str = ""  # what runs it already: a line of .ci/run
    reason: str = ""  # why it is not run


ECHO = '[[ $(echo hello | websocat ws://127.0.0.1:9001/) == hello ]]'
HEALTH = '[[ $(curl --silent --fail {}/healthz) == ok ]]'
SERVER = "rm -f /tmp/log; barews 2> /tmp/log & until grep -qs listening /tmp/log; do sleep 0.1; done"
CERTIFICATE = """openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 9 -subj /CN=localhost \
    -addext subjectAltName=DNS:localhost,IP:127.0.0.1 -keyout privkey.pem -out fullchain.pem 2> /dev/null
chmod 644 privkey.pem"""
SYSTEMD = """mkdir -p /tmp/units && cp target/release/barews deploy/barews.service deploy/barews.socket /tmp/units && cd /tmp/units
mkdir -p /etc/systemd/system"""
RUNNING = "systemctl is-active barews.service barews.socket && " + HEALTH.format("http://127.0.0.1:9001")
STATIC = "target/x86_64-unknown-linux-musl/release/barews"
QUICK = "fetches from a registry, which the copy of the machine cannot; `run` has done it, with the version pinned"
IDLE = "an hour on an idle machine; figures.py compares the README with the report that it wrote, docs/speed.md"

HOW = {
    # The README, from its start.
    (README, "cargo install --locked --path . --features full"): How(
        then="cmp ${CARGO_HOME:-~/.cargo}/bin/barews target/release/barews", timeout=600),
    (README, "cargo install --locked websocat"): How(reason=QUICK),
    (README, "barews --faults 2> barews.log &"): How(fails=True),
    (README, "kill %1"): How(before=SERVER, then="wait %1"),
    (README, "echo hello | websocat ws://127.0.0.1:9001/any/path"): How(before=SERVER),
    (README, r"printf '\000\001\376\377' | websocat --binary ws://127.0.0.1:9001/ | od -A d -t x1z"): How(before=SERVER),
    (README, "echo hello | websocat ws://127.0.0.1:9001/invalid/rsv"): How(
        fails=True, before=SERVER.replace("barews", "barews --faults", 1) + "; ln -sf /tmp/log barews.log"),
    (README, "curl --silent --include --header 'Connection: Upgrade' --header 'Upgrade: websocket' \\"): How(before=SERVER),
    (README, "cat > /etc/nginx/conf.d/barews.conf <<'END'"): How(
        before=SERVER, then="systemctl stop nginx && rm /etc/nginx/conf.d/barews.conf"),
    (README, "curl --silent http://127.0.0.1:9001/metrics | grep '^barews_connections'"): How(before=SERVER),
    (README, "cargo test"): How(ci="cargo test"),
    (README, "barews --help /close"): How(),
    (README, "barews --help faults"): How(),
    (README, "barews --help"): How(then="(($(barews --help | wc --lines) <= 24)) && (($(barews --help | wc --max-line-length) <= 80))"),
    (README, "barews --man | man -l -"): How(),
    (README, "barews :8080"): How(beside=HEALTH.format("http://127.0.0.2:8080") + " && " + HEALTH.format("http://[::1]:8080")),
    (README, "barews healthcheck"): How(before=SERVER, then="kill %1; wait %1; ! barews healthcheck"),
    (README, "barews completions bash"): How(then="barews completions bash | bash -n"),
    (README, "cargo add barews --path ../barews    # wherever you cloned it"): How(
        before=f"mkdir /tmp/mine && ln -s {REPO} /tmp/barews && cd /tmp/mine && cargo init --quiet --name mine",
        then="cp ../barews/examples/echo.rs src/main.rs && CARGO_TARGET_DIR=/tmp/mine/target cargo check --offline",
        timeout=300),
    (README, "cargo run --example NAME"): How(instead="cargo run --example echo", beside=ECHO, ends=143, timeout=300),
    (README, "cargo doc --no-deps --features full --open"): How(timeout=600, then="test -s target/doc/barews/index.html"),
    (README, "barews --tls-self-signed > cert.pem &"): How(),
    (README, "barews --tls-cert fullchain.pem --tls-key privkey.pem :443"): How(
        before=CERTIFICATE, beside=HEALTH.format("--cacert fullchain.pem https://localhost")),
    (README, "barews --help tls"): How(),
    (README, "barews --deflate"): How(
        beside="curl --silent --max-time 1 --include -H 'Connection: Upgrade' -H 'Upgrade: websocket' "
        "-H 'Sec-WebSocket-Version: 13' -H 'Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==' "
        "-H 'Sec-WebSocket-Extensions: permessage-deflate' http://127.0.0.1:9001/ | grep -a '^Sec-WebSocket-Extensions: permessage-deflate'"),
    (README, "barews --help deflate"): How(),
    (README, "barews --engine event-loop"): How(beside=ECHO),
    (README, "benches/compare --rows plain --seconds 0.4 --rounds 4"): How(reason=IDLE),

    # Deployment.
    (DEPLOY, "tests/deploy/run"): How(ci="tests/deploy/run"),
    (DEPLOY, "tests/deploy/static"): How(ci="tests/deploy/static"),
    (DEPLOY, "tests/documents/run"): How(ci="tests/documents/run"),
    (DEPLOY, "apt-get install musl-tools # compiles the C of ring, for TLS"): How(
        # As `tests/deploy/static` in .ci/run, which has built it so.
        before="export CARGO_PROFILE_RELEASE_LTO=off CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16",
        timeout=900, then=f"ldd {STATIC} 2>&1 | grep -e 'statically linked' -e 'not a dynamic executable'"),
    (DEPLOY, "mkdir /srv/barews && cp target/x86_64-unknown-linux-musl/release/barews /srv/barews/"): How(beside=ECHO),
    (DEPLOY, "docker build --file deploy/Dockerfile --tag barews ."): How(ci="tests/deploy/image"),
    (DEPLOY, "barews healthcheck"): How(before=SERVER),
    (DEPLOY, "barews --help engine"): How(),
    (DEPLOY, "tests/deploy/image"): How(ci="tests/deploy/image"),
    (DEPLOY, "tests/deploy/package"): How(ci="tests/deploy/package"),
    (DEPLOY, "cargo install --locked cargo-deb"): How(ci="tests/deploy/package"),
    (DEPLOY, "deploy/debian/build"): How(ci="tests/deploy/package"),
    (DEPLOY, "echo BAREWS_MAX_MESSAGE=1M > /etc/barews.conf"): How(
        # No connection may have more than the server has.
        beside="[[ $(curl --silent --output /dev/null --write-out '%{http_code}' 'http://127.0.0.1:9001/limits?message=2M') == 400 ]]"),
    (DEPLOY, "barews completions bash > /etc/bash_completion.d/barews"): How(
        before="mkdir -p /etc/bash_completion.d", then="bash -n /etc/bash_completion.d/barews"),
    (DEPLOY, "barews --admin 127.0.0.1:9100 &"): How(),
    (DEPLOY, "promtool check config prometheus.yml"): How(before="cd deploy"),
    (DEPLOY, "tests/operator/run"): How(ci="tests/operator/run"),
    (DEPLOY, "curl --silent --request POST 'http://127.0.0.1:9100/drain?over=1s'"): How(
        before=SERVER.replace("barews", "barews --admin 127.0.0.1:9100", 1), then=HEALTH.format("http://127.0.0.1:9001")),
    (DEPLOY, "barews --drain 30s"): How(
        # The second signal ends the drain, or this would take its time.
        before="barews --drain 30s 2> /tmp/drain.log & sleep 1; kill %1; sleep 0.3",
        instead="curl --silent --output /dev/null --write-out '%{http_code}' http://127.0.0.1:9001/healthz | grep 503",
        then="kill %1; wait %1"),
    (DEPLOY, "install barews /usr/local/bin/"): How(
        before=SYSTEMD, then=f"{RUNNING} && man /usr/local/share/man/man1/barews.1 | grep -q NAME"),
    (DEPLOY, "journalctl -u barews"): How(
        then="until journalctl -u barews | grep 'listening on 127.0.0.1:9001'; do sleep 0.1; done"),
    (DEPLOY, "systemd-analyze security"): How(
        instead="systemd-analyze security --offline=true /etc/systemd/system/barews.service | tail -n 1"),
    (DEPLOY, "#!/bin/sh"): How(
        before=f"""mkdir -p /etc/barews /tmp/lineage && cd /tmp/lineage
{CERTIFICATE}
export RENEWED_LINEAGE=/tmp/lineage
getent group ssl-cert > /dev/null || groupadd --system ssl-cert
install -m 640 -g ssl-cert fullchain.pem privkey.pem /etc/barews/
printf 'BAREWS_TLS_CERT=/etc/barews/fullchain.pem\\nBAREWS_TLS_KEY=/etc/barews/privkey.pem\\n' > /etc/default/barews
sed -i s/#Supplementary/Supplementary/ /etc/systemd/system/barews.service
systemctl daemon-reload && systemctl restart barews.service
old=$(journalctl --unit barews --output cat | wc --lines)
{CERTIFICATE}""",
        then="""for ((i = 0; i < 50; i++)); do
    sleep 0.1
    curl --silent --cacert /tmp/lineage/fullchain.pem https://localhost:9001/healthz | grep ok && break
done
((i < 50))"""),
    (DEPLOY, "systemctl reload barews"): How(
        then="systemctl is-active barews && systemctl stop barews.socket barews.service"),
    (DEPLOY, "kill -HUP"): How(
        before=f"cd /tmp && {CERTIFICATE}\n"
        "rm -f /tmp/log; barews --tls-cert fullchain.pem --tls-key privkey.pem 2> /tmp/log & until grep -qs listening /tmp/log; do sleep 0.1; done",
        instead="kill -HUP %1", then="until grep -i certificate /tmp/log; do sleep 0.1; done; kill -0 %1"),
    (DEPLOY, "umask 007"): How(instead="umask 007; barews --listen unix:/tmp/umask.sock",
                               beside="[[ $(stat --format %a /tmp/umask.sock) == 770 ]]"),
    (DEPLOY, "sysctl vm.max_map_count"): How(),
    (DEPLOY, "ulimit -Hn"): How(),
    (DEPLOY, "sysctl net.core.somaxconn"): How(),
    (DEPLOY, "set server barews/a state drain"): How(ci="tests/deploy/run"),
    (SCALING, "cargo build --release --features full"): How(
        instead="cargo build --release --features full\nBAREWS_BACKPLANE=redis://:PASSWORD@127.0.0.1 target/release/barews 127.0.0.1:9001",
        beside=ECHO, timeout=300),
    (SCALING, "tests/backplane/run"): How(ci="tests/backplane/run"),
    (SCALING, "tests/backplane/run speed"): How(reason="its figures are of one machine when it was idle; it is a mode of what CI runs"),

    (FAULTS, "barews --faults"): How(
        beside="! echo hello | websocat ws://127.0.0.1:9001/handshake/wrong-accept && " + HEALTH.format("http://127.0.0.1:9001")),
    (FAULTS, "tests/reactions/run"): How(ci="tests/reactions/run"),
    (FAULTS, "curl -i"): How(before=SERVER, instead="curl -i http://127.0.0.1:9001/status/429 | grep ' 429 '"),

    # The help, and the manual with the same texts; tests/endpoint has real shells complete with these.
    (HELP, "barews completions bash > /etc/bash_completion.d/barews"): How(
        before="mkdir -p /etc/bash_completion.d", then="bash -n /etc/bash_completion.d/barews"),
    (HELP, "barews completions zsh > /usr/share/zsh/vendor-completions/_barews"): How(
        before="mkdir -p /usr/share/zsh/vendor-completions", then="grep -q max-message /usr/share/zsh/vendor-completions/_barews"),
    (HELP, "barews completions fish > ~/.config/fish/completions/barews.fish"): How(
        before="mkdir -p ~/.config/fish/completions", then="grep -q max-message ~/.config/fish/completions/barews.fish"),

    # For those who work on it.
    (CONTRIBUTING, "cargo test"): How(ci="cargo test"),
    (CONTRIBUTING, "cargo test --features full"): How(ci="cargo test --features full"),
    (CONTRIBUTING, "cargo build --examples && cargo test --test examples --test readme"): How(ci="cargo test"),
    (CONTRIBUTING, "cargo test --release --test slow"): How(ci="cargo test --release --test slow"),
    (CONTRIBUTING, 'RUSTFLAGS="--cfg loom" cargo test --target-dir target/loom --lib writer::models'): How(
        ci='RUSTFLAGS="--cfg loom" cargo test --lib writer::models'),
    (CONTRIBUTING, "tests/autobahn/run"): How(ci="tests/autobahn/run"),
    (CONTRIBUTING, "tests/autobahn/run --deflate"): How(ci="tests/autobahn/run --deflate '[1-9].*' '10.*' '1[23].*.[1-6]' '1[23].*.11'"),
    (CONTRIBUTING, "tests/autobahn/run --tls"): How(ci="tests/autobahn/run --tls"),
    (CONTRIBUTING, "tests/clients/run"): How(ci="tests/clients/run"),
    (CONTRIBUTING, "tests/page/run"): How(ci="tests/page/run"),
    (CONTRIBUTING, "tests/clients/run --examples"): How(ci="tests/clients/run --examples"),
    (CONTRIBUTING, "tests/clients/run --paths"): How(ci="tests/clients/run --paths"),
    (CONTRIBUTING, "tests/clients/run --commands"): How(ci="tests/clients/run --commands"),
    (CONTRIBUTING, "tests/reactions/run"): How(ci="tests/reactions/run"),
    (CONTRIBUTING, "tests/operator/run"): How(ci="tests/operator/run"),
    (CONTRIBUTING, "tests/deploy/image"): How(ci="tests/deploy/image"),
    (CONTRIBUTING, "tests/deploy/package"): How(ci="tests/deploy/package"),
    (CONTRIBUTING, "tests/documents/run"): How(ci="tests/documents/run"),
    (CONTRIBUTING, "fuzz/run N"): How(ci="fuzz/run 2"),
    (CONTRIBUTING, "benches/instructions"): How(ci="benches/instructions"),
    (CONTRIBUTING, "benches/compare --rounds 1 --seconds 0.3 --rows ping50"): How(reason=IDLE),
    (CONTRIBUTING, "benches/compare --rows …"): How(reason=IDLE),
    (CONTRIBUTING, "cargo doc --no-deps --features full --document-private-items --open"): How(
        ci="cargo doc --features full --no-deps --document-private-items"),
    (CONTRIBUTING, ".ci/run"): How(reason="it runs this"),
    (TESTING, "cargo test"): How(ci="cargo test"),
    (TESTING, "cargo test --features full"): How(ci="cargo test --features full"),
    (TESTING, "cargo test --test slow"): How(ci="cargo test --release --test slow"),
    (TESTING, 'RUSTFLAGS="--cfg loom" cargo test --lib writer::models'): How(
        ci='RUSTFLAGS="--cfg loom" cargo test --lib writer::models'),
    (TESTING, "tests/autobahn/run"): How(ci="tests/autobahn/run"),
    (TESTING, "fuzz/run 600"): How(ci="fuzz/run 2"),
    (TESTING, "tests/soak/run 300"): How(ci="tests/soak/run 20 tls"),
    (TESTING, "tests/page/run"): How(ci="tests/page/run"),
    (TESTING, "tests/page/run --deflate"): How(ci="tests/page/run --deflate"),
    (TESTING, "tests/deploy/run"): How(ci="tests/deploy/run"),
    (TESTING, "tests/deploy/static"): How(ci="tests/deploy/static"),
    (TESTING, "tests/backplane/run"): How(ci="tests/backplane/run"),
    (TESTING, "tests/clients/run"): How(ci="tests/clients/run"),
    (TESTING, "tests/clients/run --examples"): How(ci="tests/clients/run --examples"),
    (TESTING, "tests/clients/run --paths"): How(ci="tests/clients/run --paths"),
    (TESTING, "tests/reactions/run"): How(ci="tests/reactions/run"),
    (TESTING, "tests/operator/run"): How(ci="tests/operator/run"),
    (TESTING, "tests/documents/run"): How(ci="tests/documents/run"),
    (TESTING, "tests/netem/run"): How(ci="tests/netem/run '1.1.*'"),
    (TESTING, "benches/compare"): How(reason=IDLE),
    (TESTING, "benches/instructions"): How(ci="benches/instructions"),
    (TESTING, ".ci/run"): How(reason="it runs this"),
    (TESTING, "cargo deny"): How(ci="cargo deny --exclude-dev --all-features check bans"),
}


def plain(line):
    """A command without what changes nothing in what it tries."""
    line = re.sub(r' --locked| --target-dir \S+| \|\| \(.*| #.*| "\$[1@]"', "", line)
    return line.strip()


def ci_commands():
    """What .ci/run calls, its `both`, `unlinked` and `without_lto` written out."""
    text = (REPO / ".ci/run").read_text().replace("\\\n", "")
    found = set()
    for line in text.splitlines():
        line = " ".join(plain(line).split())
        line = re.sub(r"^unlinked ", "cargo ", line).removeprefix("without_lto ")
        found.add(line)
        line = re.sub(r"^(?:[A-Z_]+=(?:\"[^\"]*\"|\S+) )*", "", line)
        found.add(line)
        if match := re.match(r"both (\S+)(.*)", line):
            found.add(f"cargo {match[1]}{match[2]}")
            found.add(f"cargo {match[1]} --features full{match[2]}")
    return found
