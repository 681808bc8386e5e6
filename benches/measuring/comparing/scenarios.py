"""The table of scenarios: which proxies, over what, under which load, and what a figure counts."""

import dataclasses

from .. import work


@dataclasses.dataclass(frozen=True)
class Scenario:
    name: str
    title: str
    # Under which load: wrk (h1, as fast as it goes), h2load, steady (h1 at a fixed rate), callers (memory), failing.
    load: str = "wrk"
    # What the origin speaks: None (plain text), "h1" or "h2" by TLS.
    tls: str | None = None
    method: str = "GET"
    path: str = work.READ
    body: bool = False
    connections: int = 64
    # Whether a figure counts MiB in place of requests.
    per_mib: bool = False
    # Other proxies that take part; Envoy and Pingora only where they are asked for.
    peers: tuple = ("nginx", "haproxy", "envoy", "pingora")

    @property
    def unit(self):
        return "MiB" if self.per_mib else "request"


SCENARIOS = {each.name: each for each in (
    Scenario("h1", "plain HTTP/1.1, 64 connections"),
    Scenario("h1-16", "plain HTTP/1.1, 16 connections", connections=16),
    Scenario("h1-1", "plain HTTP/1.1, one connection", connections=1),
    Scenario("tls-h1", "HTTP/1.1 over TLS to the origin, 64 connections", tls="h1"),
    Scenario("tls-h2", "HTTP/2 over TLS to the origin (nginx: HTTP/1.1), 64 connections", tls="h2"),
    Scenario("h2", "HTTP/2 from callers, 8 connections of 8 streams", load="h2load"),
    Scenario("post10k", "POSTs of 10 KiB, 64 connections", method="POST", path=work.POST, body=True),
    Scenario("stream1m", "answers of 1 MiB, 16 connections", path=work.STREAM, connections=16, per_mib=True),
    Scenario("fixed", "plain HTTP/1.1 at 5,000 requests/s", load="steady"),
    Scenario("idle", "memory: at rest, with 1,000 idle and 1,000 busy callers", load="callers", connections=1000),
    Scenario("failing", "all calls failing (403) and captured, against our own good path", load="failing", peers=()),
)}

FIXED_RATE = 5000
