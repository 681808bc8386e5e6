"""Load on all proxies alike, by wrk, h2load or at a fixed rate, and what a request costs under it."""

from .. import ground, h2load, steady, work, wrk
from .rounds import cost, interleaved, latencies
from .scenarios import FIXED_RATE


def measured(world, count, seconds, tell):
    proxies = {name: world.start(name) for name in world.names}
    put_load = LOADS[world.scenario.load](world)
    names = world.names
    if world.scenario.load == "steady":
        names = (*names, "direct")  # the origin alone: what is left of the others' latencies is their own

    def measure(name):
        if name == "direct":
            return latencies(put_load(world.origin.port, seconds))
        return cost(proxies[name].process, lambda time: put_load(proxies[name].port, time), seconds, world.scenario.per_mib)

    return interleaved(names, count, measure, tell)


def by_wrk(world):
    asked = world.scenario
    body = work.post_body() if asked.body else None
    script = wrk.write_script(world.place.folder / "load.lua", world.key, method=asked.method, path=asked.path, body=body)

    def load(port, seconds):
        told = wrk.load(script, port, asked.connections, seconds)
        if told["refused"]:
            ground.fail(f"{told['refused']} requests to port {port} were refused")
        return told

    return load


def by_h2load(world):
    return lambda port, seconds: h2load.load(world.place.folder, port, world.key, seconds)


def by_steady(world):
    requests = [work.text(world.key, work.member(n)) for n in range(work.MEMBERS)]
    return lambda port, seconds: steady.load(port, requests, work.ANSWER_BYTES, rate=FIXED_RATE, seconds=seconds,
                                             connections=world.scenario.connections)


LOADS = {"wrk": by_wrk, "h2load": by_h2load, "steady": by_steady}
