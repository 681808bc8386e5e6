"""Memory of each proxy: at rest, with callers who are connected and ask nothing, and with as many who never rest."""

import http.client
import socket
import time

from .. import work
from .loads import by_wrk
from .rounds import interleaved


def measured(world, count, seconds, tell):
    """Each is started anew in each round: memory that was taken once does not come back."""

    def measure(name):
        proxy = world.start(name)
        time.sleep(0.5)
        found = {"rest": proxy.process.resident_mib()}
        crowd = [idle_caller(proxy.port, world.key, n) for n in range(world.scenario.connections)]
        time.sleep(2)
        found["idle"] = proxy.process.resident_mib()
        for each in crowd:
            each.close()
        by_wrk(world)(proxy.port, seconds)
        found["busy"] = proxy.process.resident_mib()
        world.place.end(proxy.process)
        return found

    return interleaved(world.names, count, measure, tell)


def idle_caller(port, key, number):
    """A connection that has had one answer and asks no more."""
    stream = socket.create_connection(("127.0.0.1", port))
    stream.sendall(work.text(key, work.member(number % work.MEMBERS)).encode())
    answer = http.client.HTTPResponse(stream)
    answer.begin()
    assert answer.status == 200 and len(answer.read()) == work.ANSWER_BYTES
    return stream
