"""The command: options, the questions one after the other, the files at the end."""

import argparse
import dataclasses
import pathlib
import shutil
import sys

from .. import ground, linkgate, origin, programs
from . import busy, connections, failing, grants, headers, report, uptime, wave

QUESTIONS = {"grants": grants, "connections": connections, "busy": busy, "failing": failing, "headers": headers, "uptime": uptime, "wave": wave}
# A million grants take about as much on a disk.
ROOM_BYTES = 6 << 30


@dataclasses.dataclass
class Bench:
    """What all questions share."""

    place: ground.Ground
    origin: origin.Origin
    binary: pathlib.Path
    # Makes folders of grants; none where no question asks.
    fill: pathlib.Path | None
    members: tuple
    is_small: bool
    seconds: int
    repeats: int
    minutes: float
    wave_patience: int = 600

    def tell(self, row):
        print("  " + ", ".join(f"{name} {report.number(value)}" for name, value in row.items()), flush=True)

    def fast_folder(self):
        """In memory where there is room; a million commits take a disk long."""
        memory = pathlib.Path("/dev/shm")
        if memory.is_dir() and shutil.disk_usage(memory).free > ROOM_BYTES:
            return memory / "linkgate-scale"
        return self.place.folder


def options():
    parser = argparse.ArgumentParser(prog="benches/scale", description="Does a request cost the same when there is more of everything?")
    add = parser.add_argument
    add("questions", nargs="*", metavar="QUESTION", help="of " + ", ".join(QUESTIONS) + " (default: all)")
    add("--small", action="store_true", help="fewer of everything, short; writes no results")
    add("--seconds", type=int, help="length of one measurement (default 5, small 1)")
    add("--repeats", type=int, help="measurements of each point, of which the median counts (default 3, small 1)")
    add("--minutes", type=float, help="for uptime (default 10, small 0.5)")
    add("--binary", type=pathlib.Path, help="the linkgate to measure (default: a release build of this repository)")
    add("--fill", type=pathlib.Path, help="the example `fill` (default: built by the profile bench)")
    return parser


def main():
    asked = options().parse_args()
    names = asked.questions or list(QUESTIONS)
    if unknown := [name for name in names if name not in QUESTIONS]:
        options().error(f"no such question: {', '.join(unknown)}")
    programs.require("nginx", "wrk", "taskset")
    needs_grants = {"grants", "wave"} & set(names)
    fill = (asked.fill.resolve() if asked.fill else programs.example("fill")) if needs_grants else None
    binary = programs.linkgate(asked.binary)
    small = asked.small
    with ground.Ground("scale") as place:
        upstream = origin.start(place)
        bench = Bench(place, upstream, binary, fill, linkgate.members_data(place, binary, upstream), small,
                      asked.seconds or (1 if small else 5), asked.repeats or (1 if small else 3), asked.minutes or (0.5 if small else 10))
        answers = [answered(bench, name) for name in names]
    sys.exit(0 if all(is_so for answer in answers for _, is_so in answer.verdicts) else 1)


def answered(bench, name):
    print(name, flush=True)
    answer = QUESTIONS[name].measured(bench)
    print(report.verdicts(vars(answer)), flush=True)
    if not bench.is_small:
        report.keep(answer)
        report.write()
    return answer
