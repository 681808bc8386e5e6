"""Load by h2load: HTTP/2 in plain text by prior knowledge. Its headers are the same in all requests: one member."""

import re
import subprocess

from . import figures, ground, work

CONNECTIONS, STREAMS = 8, 8


def load(folder, port, key, seconds):
    log = folder / "h2load.log"
    log.unlink(missing_ok=True)
    command = ["taskset", "-c", str(ground.OTHER_CORE), "h2load", "-t1", f"-c{CONNECTIONS}", f"-m{STREAMS}",
               f"-D{seconds}", f"--log-file={log}", *headers(key), f"http://127.0.0.1:{port}{work.READ}"]
    out = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    count, failed = (int(re.search(pattern, out)[1]) for pattern in (r"(\d+) succeeded", r"(\d+) failed"))
    if failed or not count:
        ground.fail(f"h2load to port {port}: {failed} failed, {count} succeeded")
    taken = [int(line.split("\t")[2]) for line in log.open()]
    return {"requests": count, "micros": float(re.search(r"finished in ([\d.]+)s", out)[1]) * 1e6, "refused": 0,
            "p50": figures.percentile(taken, 50), "p99": figures.percentile(taken, 99)}


def headers(key):
    sent = work.request_headers(key) | {"Linkgate-Member": work.member(1)}
    return [word for name, value in sent.items() for word in ("-H", f"{name.lower()}: {value}")]


def seen(port, key):
    """What the origin's echo says by this way: authorization, member, host."""
    command = ["nghttp", *headers(key), f"http://127.0.0.1:{port}/seen"]
    said = subprocess.run(command, check=True, capture_output=True, text=True)
    return said.stdout.strip() or f"no answer by HTTP/2 {said.stderr}"
