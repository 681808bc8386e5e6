"""Load at a fixed rate, which wrk does not know: requests leave when they are due, whatever became of those before.

Latency counts from when a request was due, so a stall is felt by all that were due in it. Runs as a process of its
own on the load's core: `load` starts it, `main` is it. What it costs itself is in every figure; `compare` measures the
origin alone by it, too, and takes that away.
"""

import collections
import json
import select
import socket
import subprocess
import sys
import time

from . import figures, ground


def load(port, requests, answer_bytes, *, rate, seconds, connections):
    """`requests` are texts, sent in turn; each is answered with a body of `answer_bytes`."""
    asked = {"port": port, "requests": requests, "answer_bytes": answer_bytes,
             "rate": rate, "seconds": seconds, "connections": connections}
    command = ["taskset", "-c", str(ground.OTHER_CORE), sys.executable, "-m", "measuring.steady"]
    told = subprocess.run(command, input=json.dumps(asked), check=True, stdout=subprocess.PIPE, text=True,
                          cwd=ground.BENCHES).stdout
    return json.loads(told)


class Connections:
    """Those that wait for work, and those that wait for an answer: how much of it is there, and when it was due."""

    def __init__(self, port, count, answer_bytes):
        self.idle = collections.deque(socket.create_connection(("127.0.0.1", port)) for _ in range(count))
        self.busy = {}
        self.answer_bytes = answer_bytes

    def send(self, request, due):
        stream = self.idle.popleft()
        stream.sendall(request)
        self.busy[stream] = (due, b"")

    def take(self, stream):
        """Reads; returns when the answer was due to begin, once it is whole."""
        due, before = self.busy[stream]
        answer = before + stream.recv(65536)
        assert answer != before, "the connection was closed"
        end_of_head = answer.find(b"\r\n\r\n")
        if end_of_head < 0 or len(answer) < end_of_head + 4 + self.answer_bytes:
            self.busy[stream] = (due, answer)
            return None
        assert answer.startswith(b"HTTP/1.1 2"), answer[:200]
        del self.busy[stream]
        self.idle.append(stream)
        return due


def main():
    asked = json.load(sys.stdin)
    requests = [text.encode() for text in asked["requests"]]
    connections = Connections(asked["port"], asked["connections"], asked["answer_bytes"])
    interval, clock = 1 / asked["rate"], time.perf_counter
    due, taken, sent = clock() + 0.01, [], 0
    end = due + asked["seconds"]
    while due < end or connections.busy:
        now = clock()
        while due <= now and due < end and connections.idle:
            connections.send(requests[sent % len(requests)], due)
            sent, due = sent + 1, due + interval
        # With every connection busy only an answer helps.
        patience = max(0.0, due - clock()) if connections.idle and due < end else 1.0
        for stream in select.select(list(connections.busy), [], [], patience)[0]:
            was_due = connections.take(stream)
            if was_due is not None:
                taken.append((clock() - was_due) * 1e6)
    print(json.dumps({"requests": sent, "micros": asked["seconds"] * 1e6, "refused": 0,
                      **{f"p{p}": round(figures.percentile(taken, p)) for p in (50, 99)}, "most": round(max(taken))}))


if __name__ == "__main__":
    main()
