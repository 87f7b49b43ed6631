"""Builds the image of deploy/Dockerfile, runs it, and looks at it as a platform would.

Without Docker the build stage's instructions, read from the file, are done in a Debian that debootstrap makes: the
base image has no more than that, a C compiler and Rust, which is lent by this machine. The result then runs as the
last stage says: alone in an empty root that is read-only, as process 1, as nobody, in a network of its own.
(CARGO_PROFILE_RELEASE_... of this machine's environment are heeded there, or it would take twice as long.)
"""

import ctypes
import http.client
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
import tomllib
from pathlib import Path

import dockerfile

BUILD, IMAGE = dockerfile.stages("deploy/Dockerfile")
CLONE_NEWNET = 0x40000000  # sched.h; os.unshare came with Python 3.12
MIRROR = "http://deb.debian.org/debian"


def run(*command, **how):
    """Runs a command that must end with 0; what it says is its own affair."""
    subprocess.run(command, check=True, **how)


def quietly(command, **how):
    """The same, and what it says is printed only where it fails."""
    ended = subprocess.run(
        command, check=False, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **how
    )
    if ended.returncode:
        sys.exit(f"{ended.stdout}\nimage: {command[-1]} ended with {ended.returncode}")


def say(text):
    print(f"image: {text}", flush=True)


def wait_for(what, done, seconds):
    """Polls, since nobody tells us."""
    end = time.monotonic() + seconds
    while not (found := done()):
        assert time.monotonic() < end, f"no {what} in {seconds} s"
        time.sleep(0.05)
    return found


class Docker:
    """The image as Docker makes and runs it."""

    TAG = "barews-test"

    def __init__(self, _scratch):
        self.container = None
        self.last_log = ""

    def build(self):
        run("docker", "build", "--file", "deploy/Dockerfile", "--tag", self.TAG, ".")
        [about] = json.loads(subprocess.check_output(["docker", "image", "inspect", self.TAG]))
        assert about["Config"]["Labels"] == IMAGE.pairs("LABEL")
        return about["Size"]

    def start(self, *arguments, environment=()):
        given = [word for pair in environment for word in ("--env", pair)]
        command = ["docker", "run", "--detach", "--read-only", "--cap-drop", "ALL", "--publish", "127.0.0.1::9001"]
        fast = ["--health-interval", "1s", "--health-start-period", "0s", "--health-retries", "1"]
        command += [*fast, *given, self.TAG, *arguments]
        self.container = subprocess.check_output(command, text=True).strip()
        port = subprocess.check_output(["docker", "port", self.container, "9001/tcp"], text=True)
        return int(port.rsplit(":", 1)[1])

    def health(self):
        """What Docker has found by its own check: 0 healthy, 1 not."""

        def judged():
            template = "{{.State.Health.Status}}"
            told = subprocess.check_output(["docker", "inspect", "--format", template, self.container], text=True)
            return told.strip() if told.strip() != "starting" else None

        return 0 if wait_for("judgement of Docker's", judged, 20) == "healthy" else 1

    def log(self):
        if not self.container:
            return self.last_log
        command = ["docker", "logs", self.container]
        return subprocess.run(command, check=True, stderr=subprocess.STDOUT, stdout=subprocess.PIPE, text=True).stdout

    def stop(self):
        run("docker", "stop", self.container, stdout=subprocess.DEVNULL)
        self.last_log = self.log()
        state = "{{.State.ExitCode}}"
        status = int(subprocess.check_output(["docker", "inspect", "--format", state, self.container]))
        run("docker", "rm", self.container, stdout=subprocess.DEVNULL)
        self.container = None
        return status

    def clean(self):
        if self.container:
            subprocess.run(["docker", "rm", "--force", self.container], check=False)


class ByHand:
    """The same without Docker. Mounts are this process's own, and so end with it."""

    def __init__(self, scratch):
        self.debian = scratch / "debian"
        self.root = scratch / "root"
        self.log_file = scratch / "log"
        self.process = None

    # The build stage.

    def build(self):
        began = time.monotonic()
        self.base()
        say(f"a Debian with Rust, as {BUILD.base} is, after {time.monotonic() - began:.0f} s")
        environment = {
            "PATH": "/usr/local/cargo/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "RUSTUP_HOME": "/usr/local/rustup",
            "CARGO_HOME": "/usr/local/cargo",
            "RUSTUP_TOOLCHAIN": self.toolchain,
            "DEBIAN_FRONTEND": "noninteractive",
            # How this machine reaches the network, and how much it is to optimise.
            **{name: value for name, value in os.environ.items() if name.lower().endswith("_proxy")},
            **{name: value for name, value in os.environ.items() if name.startswith("CARGO_PROFILE_RELEASE_")},
        }
        where = "/"
        for word, rest in BUILD.steps:
            began = time.monotonic()
            if word == "WORKDIR":
                where = rest
                (self.debian / where[1:]).mkdir(parents=True)
            elif word == "ENV":
                environment |= dict(pair.split("=", 1) for pair in shlex.split(rest))
            elif word == "COPY":
                self.copy(rest.split(), self.debian / where[1:])
            else:
                assert word == "RUN", word
                inside = f"cd {where} && {rest}"
                quietly(["chroot", self.debian, "/bin/sh", "-c", inside], env=environment)
            say(f"{word} {rest[:60]}: {time.monotonic() - began:.0f} s")
        return self.last_stage()

    def base(self):
        """What rust:1-slim-bookworm has. Debian's part of it is kept, for it takes as long as the rest."""
        release = BUILD.base.rsplit("-", 1)[1]
        kept = Path(f"target/image/{release}")
        if not kept.exists():
            new = kept.with_suffix(".new")
            shutil.rmtree(new, ignore_errors=True)
            new.parent.mkdir(parents=True, exist_ok=True)
            quietly(["debootstrap", "--variant=minbase", "--include=ca-certificates,gcc,libc6-dev", release, new, MIRROR])
            new.rename(kept)
        run("cp", "--archive", "--reflink=auto", kept, self.debian)
        for mounted in ("dev", "proc"):
            run("mount", "--rbind", f"/{mounted}", self.debian / mounted)
        for file in ("etc/resolv.conf", "etc/hosts", "etc/ssl/certs/ca-certificates.crt"):
            shutil.copy(f"/{file}", self.debian / file)
        home = Path(os.environ.get("RUSTUP_HOME", Path.home() / ".rustup"))
        active = subprocess.check_output(["rustup", "show", "active-toolchain"], text=True)
        self.toolchain = active.split()[0]
        self.lend(home, "usr/local/rustup")
        cargo = Path(os.environ.get("CARGO_HOME", Path.home() / ".cargo"))
        programs = self.debian / "usr/local/cargo/bin"
        programs.mkdir(parents=True)
        for name in ("rustup", "cargo", "rustc"):
            shutil.copy(shutil.which(name, path=cargo / "bin"), programs / name)
        # Crates that are here already need not be fetched; what is compiled of them starts from nothing.
        if (cargo / "registry").exists():
            self.lend(cargo / "registry", "usr/local/cargo/registry")

    def lend(self, folder, to):
        (self.debian / to).mkdir(parents=True, exist_ok=True)
        run("mount", "--bind", folder, self.debian / to)

    @staticmethod
    def copy(words, where):
        """COPY keeps the times of files, which Cargo goes by."""
        with open(".dockerignore", encoding="utf-8") as file:
            shown = {line[1:] for line in file.read().splitlines() if line.startswith("!")}
        *sources, to = words
        for source in sources:
            assert source in shown, f".dockerignore hides {source}"
            if os.path.isdir(source):
                shutil.copytree(source, where / to, dirs_exist_ok=True)
            else:
                shutil.copy2(source, where / to)

    # The last stage, and what runs it.

    def last_stage(self):
        """Only what is copied from the build is in it."""
        assert IMAGE.base == "scratch"
        self.root.mkdir()
        for rest in IMAGE.all("COPY"):
            source, path, to = rest.split()
            assert source == f"--from={BUILD.name}"
            shutil.copy2(self.debian / path[1:], self.root / to[1:])
        self.root.chmod(0o755)
        run("mount", "--bind", self.root, self.root)
        run("mount", "--options", "remount,bind,ro", self.root)
        # A network of its own, for 9001 may be taken on this machine. This process is in it from now on.
        assert ctypes.CDLL(None).unshare(CLONE_NEWNET) == 0
        run("ip", "link", "set", "lo", "up")
        return sum(file.stat().st_size for file in self.root.rglob("*"))

    def command(self, *words):
        return ["chroot", f"--userspec={IMAGE.one('USER')}", str(self.root), *words]

    def environment(self, more=()):
        return {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", **IMAGE.pairs("ENV"), **dict(pair.split("=", 1) for pair in more)}

    def start(self, *arguments, environment=()):
        self.given = self.environment(environment)
        words = self.command(*json.loads(IMAGE.one("ENTRYPOINT")), *arguments)
        with open(self.log_file, "w", encoding="utf-8") as log:
            self.process = subprocess.Popen(
                ["unshare", "--pid", "--fork", *words], env=self.given, stdin=subprocess.DEVNULL, stderr=log, stdout=log
            )
        return int(self.given["PORT"])

    def health(self):
        """As Docker asks: in the same root and environment, as the same user, for so long and not longer."""
        command, limits = IMAGE.health()
        try:
            return subprocess.run(self.command(*command), env=self.given, timeout=limits["timeout"], check=False).returncode
        except subprocess.TimeoutExpired:
            return 1

    def log(self):
        return self.log_file.read_text(encoding="utf-8")

    def first(self):
        """unshare's child, which is process 1 of its namespace."""
        path = f"/proc/{self.process.pid}/task/{self.process.pid}/children"
        return int(Path(path).read_text(encoding="ascii").split()[0])

    def stop(self):
        os.kill(self.first(), signal.SIGTERM)
        status = self.process.wait(timeout=60)
        self.process = None
        return status

    def clean(self):
        if self.process:
            os.kill(self.first(), signal.SIGKILL)
            self.process.wait()


def get(port, path):
    """The status and body of a plain GET."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request("GET", path)
    answer = connection.getresponse()
    return answer.status, answer.read().decode()


def wait_until_it_listens(image):
    wait_for("start line", lambda: "barews: listening on " in image.log(), 60)


def it_serves(image):
    port = image.start()
    wait_until_it_listens(image)
    status, page = get(port, "/")
    assert status == 200 and "<html" in page, page[:200]
    assert get(port, "/healthz") == (200, "ok\n"), get(port, "/healthz")
    wait_for("healthy answer", lambda: image.health() == 0, 60)
    say("serves the page, and HEALTHCHECK finds it healthy")
    assert image.stop() == 0, image.log()
    assert "panicked" not in image.log()
    say("SIGTERM ends it with 0")


def options_reach_it(image):
    """As arguments and in the environment."""
    port = image.start("--deflate", environment=["BAREWS_LOG=json"])
    wait_for("start line in JSON", lambda: image.log().startswith("{") and "listening" in image.log(), 60)
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    offer = {"Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ=="}
    offer |= {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Extensions": "permessage-deflate"}
    connection.request("GET", "/echo", headers=offer)
    answer = connection.getresponse()
    assert answer.status == 101 and "permessage-deflate" in answer.getheader("Sec-WebSocket-Extensions", ""), answer.headers
    connection.close()
    wait_for("healthy answer", lambda: image.health() == 0, 60)
    assert image.stop() == 0, image.log()
    say("takes options as arguments and from the environment")


def a_dead_one_is_found(image):
    """It lives, and listens where the check, which goes by the environment, does not look."""
    image.start("127.0.0.1:9002")
    wait_until_it_listens(image)
    assert image.health() == 1
    assert image.stop() == 0
    say("HEALTHCHECK finds one unhealthy that does not answer")


def labels_are_the_manifests():
    with open("Cargo.toml", "rb") as file:
        package = tomllib.load(file)["package"]
    labels = IMAGE.pairs("LABEL")
    same = {"title": "name", "description": "description", "version": "version", "licenses": "license"}
    for label, key in same.items():
        assert labels[f"org.opencontainers.image.{label}"] == package[key], label


def main():
    labels_are_the_manifests()
    image = {"docker": Docker, "by-hand": ByHand}[sys.argv[1]](Path(sys.argv[2]))
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        say(f"{image.build():,} bytes")
        it_serves(image)
        options_reach_it(image)
        a_dead_one_is_found(image)
    finally:
        image.clean()


if __name__ == "__main__":
    main()
