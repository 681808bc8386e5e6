"""What a failing call costs that is kept for support, against a good one through the same gateway."""

import time

from .. import work, wrk
from .rounds import cost, interleaved


def measured(world, count, seconds, tell):
    """Good and failing calls through the same gateway; all of the failing ones must be in the support log."""
    proxy, folder = world.start("linkgate"), world.place.folder
    scripts = {"linkgate": wrk.write_script(folder / "good.lua", world.key),
               "failing": wrk.write_script(folder / "failing.lua", world.key, path=work.REFUSED)}

    def captured():
        return proxy.metric("linkgate_incidents_total") - proxy.metric("linkgate_incidents_dropped_total")

    def measure(name):
        kept = captured()
        counts = []

        def load(time):
            told = wrk.load(scripts[name], proxy.port, world.scenario.connections, time)
            counts.append(told["refused"])
            return told

        found = cost(proxy.process, load, seconds, settle=lambda: until_quiet(proxy.process))
        if name == "failing":
            found["captured"] = (captured() - kept) / sum(counts)
        return found

    return interleaved(("linkgate", "failing"), count, measure, tell)


def until_quiet(process):
    """Waits until the process has used no CPU for a while: what was put off is done."""
    before, seen = None, process.cpu_seconds()
    while seen != before:
        time.sleep(0.3)
        before, seen = seen, process.cpu_seconds()
