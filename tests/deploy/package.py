"""Judges the Debian package, and does with it what its owner would: install, use, configure, upgrade, purge.

The machine is a copy of this one (tests/documents/machine.py), with systemd as its first process, so what the
package's scripts do to services is done for real, and nothing of it stays.
"""

import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "documents"))
from machine import Machine  # noqa: E402

# A check has three seconds, and a machine may stand still for as long.
HEALTHY = "for i in 1 2 3 4; do barews healthcheck && exit; sleep 1; done; barews healthcheck"
# What lintian says is meant to be so.
MEANT = {
    # Debian closes a bug with a first version. This is no package of Debian's.
    "initial-upload-closes-no-bugs",
    # It wants a year, and LICENSE-MIT has none.
    "copyright-without-copyright-notice",
}
CONTENTS = {
    "/etc/default/barews",
    "/usr/lib/systemd/system/barews.service",
    "/usr/lib/systemd/system/barews.socket",
    "/usr/bin/barews",
    "/usr/share/bash-completion/completions/barews",
    "/usr/share/doc/barews/changelog.Debian.gz",
    "/usr/share/doc/barews/changelog.gz",
    "/usr/share/doc/barews/copyright",
    "/usr/share/fish/vendor_completions.d/barews.fish",
    "/usr/share/man/man1/barews.1.gz",
    "/usr/share/zsh/vendor-completions/_barews",
}


def say(text):
    print(f"package: {text}", flush=True)


def judge(package):
    """lintian's verdict, and what is in the package."""
    told = subprocess.run(["lintian", "--allow-root", "--tag-display-limit", "0", package], check=False, stdout=subprocess.PIPE, text=True).stdout
    against = [line for line in told.splitlines() if line[:2] in ("E:", "W:") and line.split()[2] not in MEANT]
    assert not against, "\n".join(against)
    listed = subprocess.check_output(["dpkg-deb", "--contents", package], text=True).splitlines()
    files = {line.split()[5][1:] for line in listed if not line.startswith("d")}
    assert files == CONTENTS, files ^ CONTENTS
    say(f"{Path(package).stat().st_size:,} bytes; lintian has no error and no warning")


class Installed:
    """The package on a machine."""

    def __init__(self, machine, package):
        self.machine = machine
        self.package = package
        # Some machine may have files of this name already.
        self.before = self.named_so()

    def do(self, command, status=0):
        result = self.machine.run(command, timeout=120)
        assert result.status == status, f"{command}\nended with {result.status}:\n{result.text}"
        return result.text

    def named_so(self):
        return self.do("find /etc /var/lib/systemd -name '*barews*' | sort")

    def pid(self):
        return self.do("systemctl show --value --property MainPID barews.service").strip()

    def environment(self):
        """The service's, a line each."""
        return self.do(f"tr '\\0' '\\n' < /proc/{self.pid()}/environ").splitlines()

    def installs(self):
        # Where this machine says that packages must start nothing, its copy does not.
        self.do(f"rm -f /usr/sbin/policy-rc.d && dpkg --install {self.package}")
        for unit in ("barews.socket", "barews.service"):
            self.do(f"systemctl is-active {unit} && systemctl is-enabled {unit}")
        assert self.do("curl --silent --fail --max-time 10 http://127.0.0.1:9001/healthz") == "ok\n"
        # The service has the listener of the socket, and not one of its own.
        assert "LISTEN_FDS=1" in self.environment()
        self.do(HEALTHY)
        say("installed, both units run, and it answers")

    def helps(self):
        told = self.do("man barews | col -b")
        assert "NAME" in told and "--max-message" in told, told[:500]
        self.do("man --warnings=w barews >/dev/null")
        self.do("bash -c '. /usr/share/bash-completion/bash_completion; _completion_loader barews; complete -p barews'")
        self.do("zsh -fc 'autoload -Uz compinit; compinit -D; [[ ${_comps[barews]} == _barews ]]'")
        assert "--max-message" in self.do("fish -c 'complete -C \"barews --max-m\"'")
        say("the manual can be read, and bash, zsh and fish find their completions")

    def is_configured(self):
        """/etc/default/barews is the owner's: it is applied by a restart, and an upgrade leaves it alone."""
        self.do("echo BAREWS_MAX_MESSAGE=1K >> /etc/default/barews && systemctl restart barews.service")
        self.do(HEALTHY)
        assert "BAREWS_MAX_MESSAGE=1K" in self.environment()
        before = self.pid()
        self.do(f"dpkg --install {self.package}")
        self.do("grep -qx BAREWS_MAX_MESSAGE=1K /etc/default/barews && systemctl is-active barews.service")
        assert self.pid() != before
        self.do(f"systemctl is-active barews.socket && {HEALTHY}")
        say("an upgrade restarts it, with its owner's options")

    def goes(self):
        self.do("dpkg --remove barews && test -e /etc/default/barews && ! test -e /usr/bin/barews")
        self.do("! systemctl is-active barews.service && ! systemctl is-active barews.socket")
        self.do("dpkg --purge barews && ! test -e /etc/default/barews && ! test -e /usr/lib/systemd/system/barews.service")
        assert self.named_so() == self.before, self.named_so()
        say("removed it is stopped, purged it leaves nothing")


def main():
    package = str(Path(sys.argv[1]).resolve())
    judge(package)
    with Machine() as machine:
        installed = Installed(machine, package)
        installed.installs()
        installed.helps()
        installed.is_configured()
        installed.goes()


if __name__ == "__main__":
    main()
