"""A copy of this machine to be thrown away.

Its files are an overlay over ours, kept in memory; its network is its own loopback, so every port is
free; its first process is systemd. What is installed, enabled or written there is gone with it. Only
`target` is ours, or everything would be compiled anew.
"""

import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

# What was built for another profile would be built again.
PROFILE = ("CARGO_PROFILE_RELEASE_LTO", "CARGO_PROFILE_RELEASE_CODEGEN_UNITS")
REPO = Path(__file__).resolve().parents[2]

BOOT = r"""
set -e
base=$1 repo=$2 target=$3 m=$1/root
mount --make-rprivate /
mount -t tmpfs -o size=4g documents "$base"
mkdir "$base"/{upper,work,upper-repo,work-repo,root}
mount -t overlay -o "lowerdir=/,upperdir=$base/upper,workdir=$base/work" documents "$m"
mount -t tmpfs -o mode=1777 tmp "$m/tmp"
# The repository may be in there, or on a file system of its own, which an overlay of / does not show.
mkdir -p "$m$repo"
mount -t overlay -o "lowerdir=$repo,upperdir=$base/upper-repo,workdir=$base/work-repo" documents "$m$repo"
mkdir -p "$target" "$m$repo/target"
mount --bind "$target" "$m$repo/target"
ip link set lo up
mount -t proc proc "$m/proc"
mount --rbind /dev "$m/dev"
mount -t sysfs sysfs "$m/sys"
mount -t cgroup2 cgroup2 "$m/sys/fs/cgroup"
mount -t tmpfs run "$m/run"
mkdir "$m/ours"
cd "$m"
# Not chroot: in one, systemd could give nobody a user namespace.
pivot_root . ours
umount -l /ours
export container=documents
exec /lib/systemd/systemd --system --unit=basic.target --show-status=no --log-target=journal
"""


class Result:
    def __init__(self, status, text):
        self.status = status
        self.text = text


class Machine:
    """Runs until the end of a `with`."""

    def __enter__(self):
        self.base = tempfile.mkdtemp(prefix="barews-documents-")
        target = Path(os.environ.get("CARGO_TARGET_DIR", REPO / "target")).resolve()
        self.outer = subprocess.Popen(
            # However we end, so does the machine.
            ["setpriv", "--pdeathsig", "KILL", "unshare", "--mount", "--net", "--pid", "--fork", "--kill-child", "--cgroup", "--uts",
             "bash", "-c", BOOT, "boot", self.base, str(REPO), str(target)],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 30
        while True:
            self.pid = self.first_process()
            if self.pid and self.run("systemctl is-system-running").text.strip() in ("running", "degraded"):
                return self
            if self.outer.poll() is not None or time.monotonic() > deadline:
                self.__exit__()
                print("skipped: this machine lets nobody start a copy of it", file=sys.stderr)
                raise SystemExit(77)
            time.sleep(0.1)

    def __exit__(self, *_):
        # With its first process, all of its processes end, and with them its mounts.
        if self.first_process():
            os.kill(self.first_process(), signal.SIGKILL)
        self.outer.kill()
        self.outer.wait()
        os.rmdir(self.base)

    def first_process(self):
        """systemd's id as we see it, once it is systemd."""
        try:
            children = Path(f"/proc/{self.outer.pid}/task/{self.outer.pid}/children").read_text().split()
            return int(children[0]) if Path(f"/proc/{children[0]}/comm").read_text() == "systemd\n" else None
        except (OSError, IndexError):
            return None

    def start(self, command, output, cwd=None, environment=None):
        """Runs a command in a shell there, with nothing to read, and its output in this file."""
        home = os.environ.get("HOME", "/root")
        variables = {
            "PATH": f"/usr/local/bin:{os.environ['PATH']}:/usr/sbin:/sbin",
            "HOME": home, "LANG": "C.UTF-8", "TERM": "dumb", "USER": "root", "MANPAGER": "cat",
            # The machine has no network and no browser.
            "CARGO_NET_OFFLINE": "true", "BROWSER": "true", "CARGO_TERM_QUIET": "true",
        }
        for name in ("CARGO_HOME", "RUSTUP_HOME", "RUSTUP_TOOLCHAIN", *PROFILE):
            if name in os.environ:
                variables[name] = os.environ[name]
        variables |= environment or {}
        pairs = [f"{name}={value}" for name, value in variables.items()]
        script = f"cd '{cwd or REPO}' && {{\n{command}\n}}"
        return subprocess.Popen(
            ["nsenter", "--target", str(self.pid), "--mount", "--uts", "--net", "--pid", "--cgroup", "--root", "--wd",
             "env", "-i", *pairs, "setsid", "--wait", "bash", "-c", script],
            stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT)

    def run(self, command, timeout=60, **options):
        """Its status, and all it printed. What it leaves in the background goes on."""
        with tempfile.TemporaryFile() as output:
            process = self.start(command, output, **options)
            try:
                status = process.wait(timeout)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
                status = "no end"
            output.seek(0)
            return Result(status, output.read().decode(errors="replace"))
