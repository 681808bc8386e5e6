"""`benches/instructions`: what one good exchange costs in user space, counted by callgrind; `--post`: one with a body of
10 KiB; `--failing`: one that fails and is kept for support, with all that the log's writer and its index do for it.

The same work as `compare`: the same requests, members, answer and defaults. Instructions do not depend
on what else the machine does; they do not say what a missed cache costs, and callgrind's processor
lacks some of the real one's (SHA-256, AVX-512). What stands after start-up and warming up is counted.
"""

import argparse
import collections
import dataclasses
import json
import pathlib
import random
import re
import socket
import subprocess
import sys
import time

from . import ground, linkgate, machine, origin, programs, work
from .comparing.world import CAPTURE_ALL

CONNECTIONS = 64
# Each member is asked for: a grant's first call opens it.
WARMING_UP = -(-work.MEMBERS // CONNECTIONS) * CONNECTIONS
CEILING = ground.BENCHES / "instructions-ceiling.json"
RESULT = ground.BENCHES / "results" / "instructions.md"


def main():
    parser = options()
    asked = parser.parse_args()
    if (asked.failing or asked.post) and (asked.keep or asked.check):
        parser.error("what is kept and checked is a good read")
    kind = FAILING if asked.failing else POST if asked.post else GOOD
    programs.require("nginx", "valgrind", "taskset")
    binary = programs.linkgate(asked.binary)
    with ground.Ground("instructions") as place:
        dump = counted(place, binary, asked.requests, kind, asked.tls)
    total = int(re.search(r"(?m)^(?:totals|summary): (\d+)", dump.read_text())[1])
    found = round(total / asked.requests)
    print(f"{found} instructions a request")
    parts = functions(dump, total, asked.requests)
    for cost, name in parts[:asked.top]:
        print(f"{cost:9.1f}  {name}")
    if asked.keep:
        keep(found, parts)
    if asked.check:
        check(found)


def options():
    parser = argparse.ArgumentParser(
        prog="benches/instructions",
        description="How many instructions one good exchange costs in user space, counted by callgrind.",
    )
    add = parser.add_argument
    add("--binary", type=pathlib.Path, help="the linkgate to measure (default: a release build of this repository)")
    add("--requests", type=int, default=3200, help="how many are counted (default 3200)")
    add = parser.add_mutually_exclusive_group().add_argument
    add("--failing", action="store_true", help="calls that LinkedIn answers with 403, all of them captured")
    add("--post", action="store_true", help="calls with a body of 10 KiB")
    add = parser.add_argument
    add("--tls", choices=["h1", "h2"], help="the origin speaks this by TLS")
    add("--top", type=int, default=0, help="lists so many functions")
    add("--keep", action="store_true", help="writes results/instructions.md and the ceiling that --check looks at")
    add("--check", action="store_true", help="ends with 1 if there are more than the ceiling allows")
    return parser


@dataclasses.dataclass(frozen=True)
class Kind:
    path: str
    status: int
    tune: dict
    # What is done after the answers.
    seconds_after: float
    body: str | None = None


GOOD = Kind(work.READ, 200, {}, 0.5)
POST = Kind(work.POST, 201, {}, 0.5, work.post_body())
FAILING = Kind(work.REFUSED, 403, CAPTURE_ALL, 8)


def counted(place, binary, requests, kind, tls):
    """Callgrind's account of so many requests."""
    callgrind = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={place.folder}/callgrind.out", binary]
    upstream = origin.start(place, tls)
    data, key = linkgate.members_data(place, binary, upstream)
    ours = linkgate.start(place, binary, upstream, data=data, serve=callgrind, patience=60, tune=kind.tune)
    load(ours.port, key, WARMING_UP, kind, lambda n: n % work.MEMBERS)
    time.sleep(kind.seconds_after)
    control(place, ours.process.pid, "-z")
    draw = random.Random(1)
    load(ours.port, key, requests, kind, lambda _: draw.randrange(work.MEMBERS))
    time.sleep(kind.seconds_after)
    control(place, ours.process.pid, "-d")
    return place.folder / "callgrind.out.1"


def load(port, key, count, kind, member_of):
    """`count` requests over the connections, one under way on each: the next is sent once the one before is answered, so
    that none is silent, and rests, because callgrind is slow. The nth is for the member of the number `member_of(n)`."""
    requests = (request(port, key, member_of(n), kind) for n in range(count))
    sockets = [socket.create_connection(("127.0.0.1", port)) for _ in range(CONNECTIONS)]
    try:
        for each in sockets:
            each.sendall(next(requests))
        for left in reversed(range(count // len(sockets))):
            for each in sockets:
                read_answer(each, kind)
                if left:
                    each.sendall(next(requests))
    finally:
        for each in sockets:
            each.close()


def request(port, key, number, kind):
    return work.text(key, work.member(number), path=kind.path, host=f"127.0.0.1:{port}", body=kind.body).encode()


def read_answer(stream, kind):
    answer = b""
    while True:
        head, found, body = answer.partition(b"\r\n\r\n")
        if found and len(body) >= work.ANSWER_BYTES:
            assert head.startswith(f"HTTP/1.1 {kind.status}".encode()), head
            return
        more = stream.recv(65536)
        assert more, f"the gateway closed the connection after {answer!r}"
        answer += more


def control(place, pid, flag):
    subprocess.run(["callgrind_control", flag, str(pid)], check=True, capture_output=True, cwd=place.folder)


def functions(dump, total, requests):
    """The dearest first: instructions a request of its own, and the name. Those that had begun before the counting did are
    left out: all that they called is laid on them."""
    words = ["callgrind_annotate", "--threshold=100", "--inclusive=no", "--auto=no", dump]
    own = collections.Counter()
    for line in subprocess.run(words, check=True, capture_output=True, text=True).stdout.splitlines():
        found = re.match(r"\s*([\d,]+) \([ \d.]+%\)\s+(\S.*)", line)
        if found and (count := int(found[1].replace(",", ""))) < total / 2:
            # A function stands in a line for each file that was inlined into it.
            own[re.sub(r"^(\?\?\?|\S*?\.(rs|c|S|h)):", "", found[2].split(" [")[0])[:120]] += count
    return [(count / requests, name) for name, count in own.most_common()]


def keep(found, parts):
    """So that a regression shows in a diff. Functions that take less than 1 in 200 are left out."""
    lines = [f"| {cost:,.0f} | `{name}` |" for cost, name in parts if cost > found / 200]
    RESULT.write_text("\n".join([
        "# Instructions of one good exchange", "",
        f"**{found:,}** in user space; {machine.today()}, commit {machine.commit()}, callgrind "
        f"({programs.said('valgrind', '--version')}), {programs.said('rustc', '--version')}. `.ci/run` allows "
        f"{CEILING_SHARE:.0%} more (`instructions-ceiling.json`).", "",
        "| instructions | in |", "|---|---|", *lines]) + "\n")
    CEILING.write_text(json.dumps({"recorded": found, "ceiling": round(found * (1 + CEILING_SHARE))}) + "\n")


# More than the counts of one binary differ from run to run.
CEILING_SHARE = 0.03


def check(found):
    ceiling = json.loads(CEILING.read_text())["ceiling"]
    print(f"ceiling {ceiling}: {'kept' if found <= ceiling else 'BROKEN (if it must be: benches/instructions --keep)'}")
    sys.exit(0 if found <= ceiling else 1)
