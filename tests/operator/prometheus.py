"""Prometheus and its promtool, the metrics, the alerts and the dashboard."""

import json
import pathlib
import re
import socket
import subprocess
import time
import urllib.parse
import urllib.request

from client import Client, stream

OPTIONS = (
    "--tls-self-signed", "--deflate", "--faults",
    # There is no Redis, and none is needed for its series.
    "--backplane", "redis://127.0.0.1:1",
)  # fmt: skip
SCRAPES = 4


def promtool(*arguments, **options):
    done = subprocess.run(
        ["promtool", *map(str, arguments)], capture_output=True, text=True, timeout=300, **options
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def alerts(deploy):
    """The names and the queries: the file is plain enough to do without a parser."""
    text = (deploy / "alerts.yml").read_text()
    rules = text.split("- alert: ")[1:]
    queries = [re.search(r"expr: (?:>-\n)?(.+?)\n        (?:for|labels):", rule, re.S)[1] for rule in rules]
    return {rule.split("\n")[0]: " ".join(query.split()) for rule, query in zip(rules, queries)}


def panels(deploy):
    """Each query of the dashboard behind the title of its panel, as Grafana would send it."""
    dashboard = json.loads((deploy / "grafana-dashboard.json").read_text())
    assert dashboard["schemaVersion"] and dashboard["uid"] == "barews"
    identifiers = [panel["id"] for panel in dashboard["panels"]]
    assert len(set(identifiers)) == len(identifiers), "two panels have one id"
    titled = [(panel["title"], target["expr"])
              for panel in dashboard["panels"] for target in panel.get("targets", [])]  # fmt: skip
    titled += [(note["name"], note["expr"]) for note in dashboard["annotations"]["list"]]
    filled = {"$__rate_interval": "5s", "$job": ".*", "$instance": ".*"}
    queries = []
    for title, query in titled:
        for name, value in filled.items():
            query = query.replace(name, value)
        assert "$" not in query, query
        queries.append((title, query))
    return queries


def formats(start, deploy, scratch):
    """promtool finds nothing wrong with the metrics, the configuration, the alerts and their tests"""
    with start("formats", *OPTIONS) as server:
        status, metrics = server.ask("/metrics")
        assert status == 200
        promtool("check", "metrics", input=metrics)
    promtool("check", "config", deploy / "prometheus.yml")
    promtool("check", "rules", deploy / "alerts.yml")
    promtool("test", "rules", deploy / "alerts_test.yml")


def tested(start, deploy, scratch):
    """each alert has a test that fails without it"""
    tests = (deploy / "alerts_test.yml").read_text()
    names = alerts(deploy)
    assert len(names) > 15
    for name in names:
        # As a part of no other name.
        assert re.search(rf"\b{name}\b", tests), f"{name} has no test"
    rules = (deploy / "alerts.yml").read_text()
    copy = pathlib.Path(scratch, "alerts.yml")
    pathlib.Path(scratch, "alerts_test.yml").write_text(tests)
    for name in names:
        # Its condition never holds.
        before, after = rules.split(f"- alert: {name}\n")
        after = re.sub(r"expr: .+?\n(        (?:for|labels):)", r"expr: vector(1) > 2\n\1", after, count=1, flags=re.S)
        copy.write_text(f"{before}- alert: {name}\n{after}")
        done = subprocess.run(
            ["promtool", "test", "rules", "alerts_test.yml"], cwd=scratch, capture_output=True, timeout=300
        )
        assert done.returncode == 1, f"no test misses {name}"


def traffic(server):
    """A little of everything."""
    for code in (1000, 1001, 3000):
        client = Client(server.address, tls=True)
        assert client.echo(b"hello")
        client.close(code)
    client = Client(server.address, tls=True, headers=["Sec-WebSocket-Extensions: permessage-deflate"])
    # RSV1, and a message that DEFLATE stores as it is.
    client.send(0xC1, b"\x00\x40\x00\xbf\xff" + b"x" * 64 + b"\x00")
    assert client.receive()[0] == 0xC1
    client.close()
    client = Client(server.address, tls=True)
    client.send(0x83)
    assert client.receive()[1][:2] == b"\x03\xea"
    client.end()
    for request in (b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", b"GET /echo HTTP/1.1\r\n\r\n"):
        with stream(server.address, tls=True) as plain:
            plain.sendall(request)
            while plain.recv(1 << 16):
                pass


class Prometheus:
    """The real one, on what deploy/ has for it but for addresses and intervals."""

    def __init__(self, deploy, scratch, target):
        text = (deploy / "prometheus.yml").read_text()
        text = text.replace("127.0.0.1:9100", target).replace("15s", "1s")
        text = text.replace("alerts.yml", str(deploy / "alerts.yml"))
        config = pathlib.Path(scratch, "prometheus.yml")
        config.write_text(text)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.address = "127.0.0.1:%d" % free.getsockname()[1]
        self.log = pathlib.Path(scratch, "prometheus.txt")
        command = [
            "prometheus", f"--config.file={config}", f"--web.listen-address={self.address}",
            f"--storage.tsdb.path={scratch}/tsdb", "--log.level=warn",
        ]  # fmt: skip
        with self.log.open("w") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log)

    def ask(self, path, **query):
        url = f"http://{self.address}{path}?{urllib.parse.urlencode(query)}"
        with urllib.request.urlopen(url, timeout=60) as answer:
            return json.load(answer)["data"]

    def query(self, query):
        return self.ask("/api/v1/query", query=query)["result"]

    def wait_for(self, query):
        deadline = time.monotonic() + 60
        while True:
            try:
                if result := self.query(query):
                    return result
            except OSError:
                pass
            assert time.monotonic() < deadline and self.process.poll() is None, self.log.read_text()
            time.sleep(0.1)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()


def evaluated(start, deploy, scratch):
    """Prometheus scrapes it, and every query of the dashboard and the alerts finds its series"""
    with start("scraped", *OPTIONS) as server:
        with Prometheus(deploy, scratch, "%s:%d" % server.admin) as prometheus:
            # It begins some five seconds after its start.
            prometheus.wait_for('up{job="barews"} == 1')
            for _ in range(SCRAPES):
                traffic(server)
                time.sleep(1)
            deadline = time.monotonic() + 60
            # It has seen two of them within five seconds, or what comes next.
            while not prometheus.query('rate(barews_connections_opened_total[5s]) > 0'):
                assert time.monotonic() < deadline, "there is no rate"
                traffic(server)
                time.sleep(1)
            queries = panels(deploy)
            assert len(queries) > 40
            for title, query in queries:
                # A condition is there when it holds.
                query = query.removesuffix(" > 0")
                assert prometheus.wait_for(query), f"{title}: nothing comes of {query}"
            _, metrics = server.ask("/metrics")
            known = set(re.findall(r"^# TYPE (\w+)", metrics, re.M))
            queries += alerts(deploy).items()
            for title, query in queries:
                for name, labels in re.findall(r"\b((?:barews|process|up)(?:_\w+)?)(\{.*?\})?", query):
                    assert name == "up" or re.sub("_bucket$", "", name) in known, f"{title}: no {name}"
                    assert prometheus.wait_for(f"{name}{labels}"), f"{title}: there is no {name}{labels}"
            # Redis is away, and nothing else is wrong.
            firing = prometheus.query('ALERTS{alertname!="BarewsBackplaneLost", alertstate="firing"}')
            firing = [alert["metric"]["alertname"] for alert in firing]
            assert not firing, firing
            groups = prometheus.ask("/api/v1/rules")["groups"]
            wrong = [rule["name"] for group in groups for rule in group["rules"] if rule["health"] == "err"]
            assert not wrong, wrong


CHECKS = [formats, tested, evaluated]
