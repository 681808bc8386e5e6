"""The proxies of one scenario, started in front of one origin, and the proof that each does the whole work."""

import http.client
import random

from .. import ground, h2load, linkgate, origin, peers, work

# What the captured calls need: all of them kept, though they are alike.
CAPTURE_ALL = {"incidents.max_per_minute": 1_000_000}


class World:
    """What stands while a scenario is measured; ends with the `with`."""

    def __init__(self, scenario, asked, members):
        self.scenario, self.asked, (self.data, self.key) = scenario, asked, members
        self.place = ground.Ground(f"compare/{scenario.name}")
        self.names = ("linkgate", *(p for p in scenario.peers if p in asked.peers))

    def __enter__(self):
        self.place.__enter__()
        self.origin = origin.start(self.place, self.scenario.tls)
        return self

    def __exit__(self, *told):
        self.place.__exit__(*told)

    def start(self, name):
        """Starts a proxy and proves it."""
        if name == "linkgate":
            tune = CAPTURE_ALL if self.scenario.load == "failing" else {}
            proxy = linkgate.start(self.place, self.asked.binary, self.origin, tune=tune, data=self.data)
        else:
            proxy = peers.start(name, self.place, self.upstream(name), h2=self.scenario.load == "h2load")
        self.prove(proxy)
        return proxy

    def upstream(self, name):
        """nginx speaks no HTTP/2 to where it sends on: it gets the same origin by HTTP/1.1."""
        if name == "nginx" and self.origin.is_h2:
            return self.origin.by_h1()
        return self.origin

    def prove(self, proxy):
        """Whoever does less work than this makes all figures worthless."""
        host = f"127.0.0.1:{self.origin.port}" if proxy.name == "linkgate" else "api.linkedin.test"
        if self.scenario.load == "h2load":
            expected = f"Bearer {work.tokens()[work.member(1)]}||{host}"
            seen = h2load.seen(proxy.port, self.key)
            assert seen == expected, f"{proxy.name}: {seen}"
            return
        connection = http.client.HTTPConnection("127.0.0.1", proxy.port, timeout=10)
        for member, token in random.sample(list(work.tokens().items()), 20):
            answer = self.ask(connection, "/seen", member)
            expected = f"Bearer {token}||{host}"
            assert (answer.status, answer.read().decode()) == (200, expected), f"{proxy.name}: {answer.status}"
        answer = self.ask(connection, work.READ, work.member(1))
        assert answer.read().decode() == work.answer_body() and answer.getheader("x-li-uuid"), proxy.name
        if proxy.name == "linkgate":
            assert answer.getheader("linkgate-exchange") and answer.getheader("server-timing"), "not everything is on"

    def ask(self, connection, path, member):
        connection.request("GET", path, headers=work.request_headers(self.key) | {"Linkgate-Member": member})
        return connection.getresponse()
