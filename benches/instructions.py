"""Instructions that one good exchange costs in user space, counted by callgrind. Started by `instructions`.

The same work as `compare`: the same requests, members, answer and defaults. Instructions do not depend
on what else the machine does; they do not say what a missed cache costs, and callgrind's processor
lacks some of the real one's (SHA-256, AVX-512). What stands after start-up and warming up is counted.
"""

import argparse
import pathlib
import random
import re
import shutil
import socket
import subprocess
import sys
import time

import compare


def load(port, key, count):
    """`count` requests over the connections, one under way on each."""
    draw = random.Random(1)
    sockets = [socket.create_connection(("127.0.0.1", port)) for _ in range(compare.CONNECTIONS)]
    try:
        for _ in range(count // len(sockets)):
            for each in sockets:
                headers = {"Host": f"127.0.0.1:{port}"} | compare.request_headers(key)
                headers["Linkgate-Member"] = f"m{draw.randrange(compare.MEMBERS):04}"
                lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
                each.sendall(f"GET {compare.PATH} HTTP/1.1\r\n{lines}\r\n".encode())
            for each in sockets:
                read_answer(each)
    finally:
        for each in sockets:
            each.close()


def read_answer(stream):
    answer = b""
    while True:
        head, found, body = answer.partition(b"\r\n\r\n")
        if found and len(body) >= int(re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)[1]):
            assert head.startswith(b"HTTP/1.1 200"), head
            return
        answer += stream.recv(65536)


def control(pid, flag):
    subprocess.run(["callgrind_control", flag, str(pid)], check=True, capture_output=True, cwd=compare.RUN)


def main():
    options = argparse.ArgumentParser(prog="benches/instructions", description=__doc__.partition("\n\n")[2])
    options.add_argument("--binary", type=pathlib.Path, required=True, help="the linkgate to measure")
    options.add_argument("--requests", type=int, default=3200, help="how many are counted (default 3200)")
    options.add_argument("--top", type=int, default=0, help="lists so many functions")
    asked = options.parse_args()
    shutil.rmtree(compare.RUN, ignore_errors=True)
    (compare.RUN / "run").mkdir(parents=True)
    started = []
    try:
        origin_process, origin = compare.start_origin()
        started.append(origin_process)
        command = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={compare.RUN}/callgrind.out", asked.binary.resolve()]
        ours, port, key = compare.start_linkgate(asked.binary.resolve(), origin, serve=command)
        started.append(ours)
        compare.check_work("linkgate", port, key, origin)
        load(port, key, 640)
        time.sleep(0.5)
        control(ours.process.pid, "-z")
        load(port, key, asked.requests)
        time.sleep(0.5)
        control(ours.process.pid, "-d")
    finally:
        for process in reversed(started):
            process.end()
    dump = compare.RUN / "callgrind.out.1"
    total = int(re.search(r"(?m)^(?:totals|summary): (\d+)", dump.read_text())[1])
    print(f"{total / asked.requests:.0f} instructions a request")
    if asked.top:
        table(dump, asked.requests, asked.top)


def table(dump, requests, top):
    shown = subprocess.run(["callgrind_annotate", "--threshold=100", dump], check=True, capture_output=True, text=True).stdout
    for line in shown.splitlines():
        found = re.match(r"\s*([\d,]+) \([ \d.]+%\)\s+(\S.*)", line)
        if found and not found[2].startswith("PROGRAM"):
            print(f"{int(found[1].replace(',', '')) / requests:9.1f}  {found[2].split(' [')[0][:150]}")
            top -= 1
            if top == 0:
                return


if __name__ == "__main__":
    main()
