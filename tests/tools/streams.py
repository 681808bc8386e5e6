#!/usr/bin/env python3
"""Bodies of any size in flat memory.

usage: streams.py PORT PID KEY [--streams 8] [--mib 1024] [--spare-mib 8] [--stream-mib 0.5] [--http2]

The gateway at 127.0.0.1:PORT is the process PID and stands before a sandbox (a process of its own); KEY is a
key with its member (lgk_...~ada). Sends and fetches --streams bodies of --mib MiB each, all at once, half of the
uploads in chunks; one of the downloads is read slowly until all others are through. Watches the gateway's
resident memory every 50 ms. Passes (exit 0) if every body arrived whole and memory grew by no more than
--spare-mib plus --stream-mib for each stream, which is what the gateway documents as its buffers.
With --http2 curl is the caller, by prior knowledge, each body on a connection of its own.
"""
import argparse
import json
import socket
import subprocess
import sys
import threading
import time
import zlib

PIECE = memoryview(bytes(range(256)) * 4096)  # 1 MiB
SLOW_BYTES, SLOW_PAUSE = 65536, 0.25


def arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("port", type=int)
    parser.add_argument("pid", type=int)
    parser.add_argument("key")
    parser.add_argument("--streams", type=int, default=8)
    parser.add_argument("--mib", type=int, default=1024)
    parser.add_argument("--spare-mib", type=float, default=8)
    parser.add_argument("--stream-mib", type=float, default=0.5)
    parser.add_argument("--http2", action="store_true")
    return parser.parse_args()


def resident_kib(pid):
    with open(f"/proc/{pid}/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))


class Watch(threading.Thread):
    """The most memory the gateway had."""

    def __init__(self, pid):
        super().__init__(daemon=True)
        self.pid, self.most, self.ended = pid, resident_kib(pid), threading.Event()

    def run(self):
        while not self.ended.wait(0.05):
            self.most = max(self.most, resident_kib(self.pid))


def connect(options, method, target, more):
    stream = socket.create_connection(("127.0.0.1", options.port), 60)
    head = (
        f"{method} /rest/sandboxBytes{target} HTTP/1.1\r\nHost: localhost\r\n"
        f"Authorization: Bearer {options.key}\r\nLinkedIn-Version: 202609\r\nConnection: close\r\n{more}\r\n"
    )
    stream.sendall(head.encode())
    return stream


def head_of(stream):
    """The status, and what came of the body with the head."""
    got = b""
    while b"\r\n\r\n" not in got:
        more = stream.recv(65536)
        if not more:
            raise OSError(f"closed inside the head: {got[:200]!r}")
        got += more
    head, _, rest = got.partition(b"\r\n\r\n")
    return int(head.split()[1]), rest


def upload(options, checksum, is_chunked):
    framing = "Transfer-Encoding: chunked\r\n" if is_chunked else f"Content-Length: {options.mib << 20}\r\n"
    stream = connect(options, "POST", "", framing)
    for _ in range(options.mib):
        if is_chunked:
            stream.sendall(b"100000\r\n")
        stream.sendall(PIECE)
        if is_chunked:
            stream.sendall(b"\r\n")
    if is_chunked:
        stream.sendall(b"0\r\n\r\n")
    status, body = head_of(stream)
    while more := stream.recv(65536):
        body += more
    if status != 200:
        raise OSError(f"status {status}: {body[:300]!r}")
    # The gateway passes the answer on as LinkedIn framed it: with a length.
    told = json.loads(body)
    if (told["bytes"], told["crc32"]) != (options.mib << 20, checksum):
        raise OSError(f"another body arrived: {told}")


def download(options, is_slow, others_done):
    stream = connect(options, "GET", f"?size={options.mib << 20}", "")
    status, rest = head_of(stream)
    if status != 200:
        raise OSError(f"status {status}: {rest[:300]!r}")
    left, buffer = (options.mib << 20) - len(rest), bytearray(1 << 20)
    while left:
        is_throttled = is_slow and not others_done.is_set()
        read = stream.recv_into(buffer, SLOW_BYTES if is_throttled else 0)
        if not read:
            raise OSError(f"cut, {left} bytes missing")
        left -= read
        if is_throttled:
            time.sleep(SLOW_PAUSE)
    if stream.recv(1):
        raise OSError("more came than was announced")


def curl(options, *more):
    bearer = f"Authorization: Bearer {options.key}"
    words = ["curl", "-sS", "--http2-prior-knowledge", "-H", bearer, "-H", "LinkedIn-Version: 202609", *more]
    return subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE)


def url(options, query=""):
    return f"http://127.0.0.1:{options.port}/rest/sandboxBytes{query}"


def upload_http2(options, checksum):
    caller = curl(options, "-X", "POST", "-T", "-", "-H", "Expect:", url(options))
    for _ in range(options.mib):
        caller.stdin.write(PIECE)
    told = json.loads(caller.communicate()[0])
    if (told.get("bytes"), told.get("crc32")) != (options.mib << 20, checksum):
        raise OSError(f"another body arrived: {told}")


def download_http2(options, is_slow, others_done):
    caller, left = curl(options, url(options, f"?size={options.mib << 20}")), options.mib << 20
    while left:
        is_throttled = is_slow and not others_done.is_set()
        read = caller.stdout.read1(SLOW_BYTES if is_throttled else 1 << 20)
        if not read:
            raise OSError(f"cut, {left} bytes missing")
        left -= len(read)
        if is_throttled:
            time.sleep(SLOW_PAUSE)
    if caller.communicate()[0] or caller.returncode:
        raise OSError("it did not end well")


def begin(options, checksum, failures, others_done):
    """All bodies at once: the quick ones, and the slow one."""
    numbers, downs = range(options.streams), range(1, options.streams)
    if options.http2:
        quick = [guarded(f"upload {n}", failures, upload_http2, options, checksum) for n in numbers]
        quick += [guarded(f"download {n}", failures, download_http2, options, False, others_done) for n in downs]
        return quick, guarded("slow download", failures, download_http2, options, True, others_done)
    quick = [guarded(f"upload {n}", failures, upload, options, checksum, n % 2 == 1) for n in numbers]
    quick += [guarded(f"download {n}", failures, download, options, False, others_done) for n in downs]
    return quick, guarded("slow download", failures, download, options, True, others_done)


def guarded(what, failures, work, *args):
    def run():
        try:
            work(*args)
        except Exception as error:  # noqa: BLE001: every failure of a stream is told
            failures.append(f"{what}: {error!r}")

    thread = threading.Thread(target=run)
    thread.start()
    return thread


def main():
    options = arguments()
    checksum = 0
    for _ in range(options.mib):
        checksum = zlib.crc32(PIECE, checksum)
    small = argparse.Namespace(**{**vars(options), "mib": 1})
    upload(small, zlib.crc32(PIECE), False)
    download(small, False, threading.Event())

    before, began, failures, others_done = resident_kib(options.pid), time.time(), [], threading.Event()
    watch = Watch(options.pid)
    watch.start()
    quick, slow = begin(options, checksum, failures, others_done)
    for thread in quick:
        thread.join()
    took = time.time() - began
    others_done.set()
    slow.join()
    watch.ended.set()

    grown = (watch.most - before) / 1024
    allowed = options.spare_mib + options.stream_mib * 2 * options.streams
    mib = options.mib * (2 * options.streams - 1)
    print(f"HTTP/{2 if options.http2 else 1} streams: {options.streams} up and {options.streams} down, {options.mib} MiB each, one read slowly")
    print(f"rate beside the slow one: {mib / took:.0f} MiB/s for {took:.1f} s")
    print(f"resident: {before / 1024:.1f} MiB before, +{grown:.1f} MiB at most, +{allowed:.1f} MiB allowed")
    for failure in failures:
        print(f"FAILED {failure}")
    if grown > allowed:
        print("FAILED memory grew with the bodies")
    return 1 if failures or grown > allowed else 0


if __name__ == "__main__":
    sys.exit(main())
