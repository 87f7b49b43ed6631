"""The processes of the test: barews, nginx and HAProxy on loopback, with the files of deploy/."""

import csv
import io
import os
import signal
import socket
import subprocess
import time
from pathlib import Path

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
# What deploy/README.md says of a proxy that encrypts what it passes on.
NGINX_TO_TLS = """proxy_pass https://barews;
            proxy_ssl_trusted_certificate {certificate};
            proxy_ssl_verify on;
            proxy_ssl_name localhost;
            proxy_ssl_server_name on;"""
HAPROXY_TO_TLS = "ssl verify required ca-file {certificate} sni str(localhost) verifyhost localhost"
START = 60  # seconds in which a program must be ready


def free_ports(count):
    """Ports that were free a moment ago. All are held at once, so no two are the same."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [held.getsockname()[1] for held in sockets]
    for held in sockets:
        held.close()
    return ports


def substitute(name, replacements):
    """The text of a file of deploy/ with these replaced; each must be there."""
    text = (DEPLOY / name).read_text()
    for old, new in replacements.items():
        assert old in text, f"deploy/{name} has no {old!r} any more"
        text = text.replace(old, new)
    return text


def wait_until(what, condition, timeout=START):
    deadline = time.monotonic() + timeout
    while not (result := condition()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"after {timeout} s still not so: {what}")
        time.sleep(0.05)
    return result


class Stack:
    """Everything that runs, until the end of a `with`."""

    def __init__(self, server, scratch):
        self.server = server
        self.scratch = Path(scratch)
        self.processes = []
        self.ports = {}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for process in reversed(self.processes):
            if process.poll() is None:
                process.terminate()
        for process in reversed(self.processes):
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def spawn(self, name, *command, env=None):
        with (self.scratch / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=env
            )
        process.name = name
        self.processes.append(process)
        return process

    def log(self, name):
        return (self.scratch / f"{name}.log").read_text(errors="replace")

    def ready(self, process, port):
        def accepts():
            if process.poll() is not None:
                raise ChildProcessError(f"{process.name} ended:\n{self.log(process.name)}")
            with socket.socket() as probe:
                return probe.connect_ex(("127.0.0.1", port)) == 0

        wait_until(f"{process.name} listens on port {port}", accepts)

    def barews(self, name, *options):
        """A barews process, on its old port if it has had one."""
        port = self.ports.get(name) or free_ports(1)[0]
        self.ports[name] = port
        process = self.spawn(name, self.server, f"127.0.0.1:{port}", *options)
        self.ready(process, port)
        return process

    def certificate(self):
        """A self-signed certificate for the run."""
        crt, key = self.scratch / "barews.crt", self.scratch / "barews.key"
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
             "-noenc", "-days", "2", "-subj", "/CN=localhost",
             "-addext", "subjectAltName=DNS:localhost", "-keyout", key, "-out", crt],
            check=True, capture_output=True,
        )  # fmt: skip
        (self.scratch / "barews.pem").write_bytes(crt.read_bytes() + key.read_bytes())
        return crt

    def nginx(self, backend, timeout, name="nginx", trusted=None):
        """nginx in front of a barews; with a certificate to trust, over TLS there too."""
        plain, tls = free_ports(2)
        config = self.scratch / f"{name}.conf"
        encrypted = {} if trusted is None else {
            "proxy_pass http://barews;": NGINX_TO_TLS.format(certificate=trusted),
        }  # fmt: skip
        config.write_text(substitute("nginx.conf", encrypted | {
            "/run/nginx.pid": f"{self.scratch}/{name}.pid",
            "/var/log/nginx/": f"{self.scratch}/{name}-",
            "/etc/nginx/": f"{self.scratch}/",
            "listen [::]:80 ipv6only=off;": f"listen 127.0.0.1:{plain};",
            "listen [::]:443 ipv6only=off ssl;": f"listen 127.0.0.1:{tls} ssl;",
            "server 127.0.0.1:9001;": f"server 127.0.0.1:{self.ports[backend]};",
            "130s": timeout,
        }))  # fmt: skip
        process = self.spawn(name, "nginx", "-c", str(config), "-g", "daemon off;")
        self.ready(process, plain)
        self.ready(process, tls)
        self.ports |= {name: plain, f"{name}-tls": tls}

    def haproxy(self, first, second, timeout, name="haproxy", trusted=None):
        """HAProxy in front of two; with a certificate to trust, over TLS there too."""
        (tls,) = free_ports(1)
        config = self.scratch / f"{name}.cfg"
        encrypted = {} if trusted is None else {
            "default-server check": "default-server check " + HAPROXY_TO_TLS.format(certificate=trusted),
        }  # fmt: skip
        replacements = encrypted | {
            "/run/haproxy/admin.sock": f"{self.scratch}/{name}.sock",
            "/etc/haproxy/": f"{self.scratch}/",
            "bind :::443 v4v6": f"bind 127.0.0.1:{tls}",
            "127.0.0.1:9001": f"127.0.0.1:{self.ports[first]}",
            "127.0.0.1:9002": f"127.0.0.1:{self.ports[second]}",
            "130s": timeout,
            # The limit of descriptors for so many may be higher than here.
            "maxconn 16000": "maxconn 1000",
        }
        if os.geteuid() != 0:
            # What only root can do.
            for line in ("user haproxy", "group haproxy", "chroot /var/lib/haproxy"):
                replacements[f"    {line}\n"] = ""
        config.write_text(substitute("haproxy.cfg", replacements))
        process = self.spawn(name, "haproxy", "-db", "-f", str(config))
        self.ready(process, tls)
        self.ports[name] = tls

    def haproxy_server(self, name):
        """What HAProxy's statistics say of one of its two servers: `status`, `scur` and so on."""
        with socket.socket(socket.AF_UNIX) as admin:
            admin.connect(f"{self.scratch}/haproxy.sock")
            admin.sendall(b"show stat\n")
            text = b"".join(iter(lambda: admin.recv(65536), b"")).decode()
        for row in csv.DictReader(io.StringIO(text.removeprefix("# "))):
            if (row["pxname"], row["svname"]) == ("barews", name):
                return row
        raise LookupError(f"HAProxy knows no server {name}")


def stop_on_signals():
    """Makes SIGTERM an exception, so that `with` blocks clean up."""

    def stop(number, _):
        raise SystemExit(128 + number)

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGHUP, stop)
