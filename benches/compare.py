"""CPU per request of Linkgate and nginx, in interleaved, paired rounds. Started by `compare`.

Proxy alone on one core; origin and load on the other. Both proxies get byte-identical requests: a
member is named in a header, its token of 1,000 characters (one of 1,000) goes out, an answer of
1 KiB with LinkedIn's headers comes back. Only ratios of paired rounds mean anything.
"""

import argparse
import concurrent.futures
import datetime
import http.client
import json
import os
import pathlib
import random
import shutil
import socket
import statistics
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
RUN = HERE / "run" / "compare"
MEMBERS, TOKEN_LENGTH, CONNECTIONS = 1000, 1000, 64
PROXY_CORE, OTHER_CORE = sorted(os.sched_getaffinity(0))[:2]
TICKS = os.sysconf("SC_CLK_TCK")

# linkedin.md §5; with nginx's Server, Date, Content-Type, Content-Length and Connection: 16.
ANSWER_HEADERS = {
    "x-restli-protocol-version": "2.0.0",
    "x-li-responseorigin": "RGW",
    "X-Li-Fabric": "prod-ltx1",
    "X-Li-Source-Fabric": "prod-lva1",
    "X-Li-Pop": "prod-lva1-x",
    "X-LI-Proto": "http/1.1",
    "X-LI-UUID": "AAYFBPDs9ZaGJ88vWwff2w==",
    "X-LI-Route-Key": "b=TB87:s=T:r=T:a=T:p=T:g=3043:u=909:x=1:i=1700000000:t=1700067614:v=2",
    "Cache-Control": "no-cache, no-store",
    "Set-Cookie": "lidc=b=TB87:s=T:r=T:g=3043; Domain=.linkedin.com; Path=/; Secure; SameSite=None",
    "Vary": "Accept-Encoding",
}
PATH = "/rest/adAnalytics?q=analytics&pivot=CAMPAIGN&accounts=List(urn%3Ali%3AsponsoredAccount%3A1)"


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def answer_body():
    row = {"impressions": 1234, "clicks": 56, "pivotValues": ["urn:li:sponsoredCampaign:123456"]}
    text = json.dumps({"paging": {"start": 0, "count": 10}, "elements": [row] * 10})
    return text + " " * (1024 - len(text))


def tokens():
    draw = random.Random(20261123)
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    return {f"m{n:04}": "AQ" + "".join(draw.choices(letters, k=TOKEN_LENGTH - 2)) for n in range(MEMBERS)}


class Process:
    """A pinned process and its children."""

    def __init__(self, core, *command, **options):
        self.log = open(RUN / (pathlib.Path(command[0]).name + f"-{core}.err"), "ab")
        self.process = subprocess.Popen(
            ["taskset", "-c", str(core), *map(str, command)], stdout=self.log, stderr=self.log, **options
        )

    def cpu_seconds(self):
        """User and system time so far (proc_pid_stat(5), fields 14 and 15), all threads."""
        pid = self.process.pid
        children = pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        user = system = 0
        for each in [pid, *children]:
            fields = pathlib.Path(f"/proc/{each}/stat").read_text().rpartition(")")[2].split()
            user, system = user + int(fields[11]), system + int(fields[12])
        return user / TICKS, system / TICKS

    def end(self):
        self.process.terminate()
        self.process.wait(timeout=20)


def wait_for(port, process):
    for _ in range(200):
        if process.process.poll() is not None:
            sys.exit(f"compare: {process.process.args[3]} ended at once: see {process.log.name}")
        try:
            return socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.05)
    sys.exit(f"compare: nothing listens on {port}: see {process.log.name}")


def nginx(name, text, core, port):
    file = RUN / f"{name}.conf"
    file.write_text(text)
    process = Process(core, shutil.which("nginx"), "-p", f"{RUN}/", "-e", RUN / f"{name}.err", "-c", file)
    wait_for(port, process)
    return process


def start_origin():
    port = free_port()
    headers = "\n".join(f"add_header {name} '{value}';" for name, value in ANSWER_HEADERS.items())
    text = f"""
worker_processes 1; daemon off; pid run/origin.pid; error_log run/origin.err warn;
events {{ worker_connections 8192; multi_accept on; }}
http {{
  access_log off; keepalive_timeout 300s; keepalive_requests 100000000; default_type application/json;
  large_client_header_buffers 4 16k;
  client_body_temp_path run/origin-cb; proxy_temp_path run/origin-pt; fastcgi_temp_path run/origin-ft;
  uwsgi_temp_path run/origin-ut; scgi_temp_path run/origin-st;
  server {{
    listen 127.0.0.1:{port} backlog=4096;
    location / {{ {headers} return 200 '{answer_body()}'; }}
    location /seen {{ return 200 '$http_authorization|$http_linkgate_member|$http_host'; }}
  }}
}}"""
    return nginx("origin", text, OTHER_CORE, port), port


def start_nginx(origin):
    """The peer's configuration as it is in peers/, with the ports, files and header of this run."""
    port = free_port()
    (RUN / "members.map").write_text("".join(f'{m} "Bearer {t}";\n' for m, t in tokens().items()))
    text = (HERE / "peers" / "nginx.conf").read_text()
    for old, new in {
        "127.0.0.1:8001": f"127.0.0.1:{port}",
        "127.0.0.1:9000": f"127.0.0.1:{origin}",
        "conf/nginx.map": str(RUN / "members.map"),
        "$http_x_member": "$http_linkgate_member",
        "X-Member": "Linkgate-Member",
    }.items():
        assert old in text, f"peers/nginx.conf has no {old}"
        text = text.replace(old, new)
    return nginx("nginx", text, PROXY_CORE, port), port


def start_linkgate(binary, origin, serve=None):
    """`linkgate serve` with its defaults, one path thread, the same 1,000 members; `serve` starts it otherwise."""
    port, admin, home = free_port(), free_port(), RUN / "linkgate"
    home.mkdir()
    (home / "secret").write_text("secret")
    (home / "config.yaml").write_text(f"""
gateway: {{ listen: '127.0.0.1:{port}', threads: 1 }}
admin: {{ listen: '127.0.0.1:{admin}' }}
linkedin:
  api_url: 'http://127.0.0.1:{origin}'
  oauth_url: 'http://127.0.0.1:{origin}'
  uploads_url: 'http://127.0.0.1:{origin}'
applications:
  - {{ name: default, client_id: bench, client_secret_file: secret }}
""")
    base = [str(binary), "--config", str(home / "config.yaml")]
    process = Process(PROXY_CORE, *(serve or base[:1]), *base[1:], "serve")
    wait_for(port, process)

    def command(*words, **options):
        return subprocess.run([*base, *words], check=True, capture_output=True, text=True, **options).stdout

    def import_member(member):
        name, token = member
        command("members", "import", name, input=json.dumps({"access_token": token, "expires_in": 5_000_000}))

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        list(pool.map(import_member, tokens().items()))
    return process, port, command("keys", "create", "bench", "--any-member").strip()


def request_headers(key):
    return {
        "Authorization": f"Bearer {key}",
        "LinkedIn-Version": "202609",
        "X-Restli-Protocol-Version": "2.0.0",
        "Accept": "application/json",
        "User-Agent": "compare/1",
    }


def check_work(name, port, key, origin):
    """Both must do the whole work, or the figures mean nothing."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    for member, token in random.sample(list(tokens().items()), 20):
        connection.request("GET", "/seen", headers=request_headers(key) | {"Linkgate-Member": member})
        answer = connection.getresponse()
        seen, _, rest = answer.read().decode().partition("|")
        host = f"127.0.0.1:{origin}" if name == "linkgate" else "api.linkedin.test"
        assert (answer.status, seen, rest) == (200, f"Bearer {token}", f"|{host}"), f"{name}: {answer.status} {rest}"
    connection.request("GET", PATH, headers=request_headers(key) | {"Linkgate-Member": "m0001"})
    answer = connection.getresponse()
    assert answer.read().decode() == answer_body() and answer.getheader("x-li-uuid"), name
    if name == "linkgate":
        assert answer.getheader("linkgate-exchange") and answer.getheader("server-timing"), "not everything is on"


def write_load(key):
    headers = "\n".join(f'headers["{name}"] = "{value}"' for name, value in request_headers(key).items())
    (RUN / "load.lua").write_text(f"""
local requests, at = {{}}, 0
function init()
  local headers = {{}}
  {headers}
  math.randomseed(1)
  for n = 1, 4096 do
    headers["Linkgate-Member"] = string.format("m%04d", math.random(0, {MEMBERS - 1}))
    requests[n] = wrk.format("GET", "{PATH}", headers)
  end
end
function request() at = at % 4096 + 1; return requests[at] end
function done(summary, latency)
  local e = summary.errors
  io.write(string.format('\\nJSON {{"requests":%d,"micros":%d,"errors":%d,"p50":%d,"p99":%d}}\\n', summary.requests,
    summary.duration, e.connect + e.read + e.write + e.status + e.timeout, latency:percentile(50), latency:percentile(99)))
end
""")


def load(port, seconds):
    command = ["taskset", "-c", str(OTHER_CORE), "wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s"]
    command += ["-s", str(RUN / "load.lua"), f"http://127.0.0.1:{port}"]
    out = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return json.loads(out.rpartition("JSON ")[2])


def measure(process, port, seconds):
    load(port, 1)  # fills the pools
    before = process.cpu_seconds()
    told = load(port, seconds)
    user, system = (after - b for after, b in zip(process.cpu_seconds(), before))
    if told["errors"]:
        sys.exit(f"compare: {told['errors']} requests failed")
    count = told["requests"]
    return {
        "cpu": (user + system) / count * 1e6,
        "user": user / count * 1e6,
        "rate": count / told["micros"] * 1e6,
        "p50": told["p50"],
        "p99": told["p99"],
    }


def spread(values, places=2):
    values = list(values)
    return f"{statistics.median(values):.{places}f} [{min(values):.{places}f}–{max(values):.{places}f}]"


def table(rounds):
    lines = [
        "| plain HTTP/1.1, 64 connections | CPU µs/request | of it user | requests/s | p50 µs | p99 µs |",
        "|---|---|---|---|---|---|",
    ]
    for name in ("nginx", "linkgate"):
        column = lambda key, places: spread((r[name][key] for r in rounds), places)
        lines.append(
            f"| {name} | {column('cpu', 1)} | {column('user', 1)} | {column('rate', 0)} | {column('p50', 0)} | {column('p99', 0)} |"
        )
    return "\n".join(lines)


def machine():
    model = next(l.partition(":")[2].strip() for l in open("/proc/cpuinfo") if l.startswith("model name"))
    version = subprocess.run(["nginx", "-v"], capture_output=True, text=True).stderr.strip().partition("/")[2]
    return f"{model}, {os.cpu_count()} cores, Linux {os.uname().release}; nginx {version}"


def commit():
    asked = subprocess.run(["git", "describe", "--always", "--dirty"], cwd=HERE, capture_output=True, text=True)
    return asked.stdout.strip() or "unknown"


def main():
    options = argparse.ArgumentParser(prog="benches/compare", description=__doc__.partition("\n\n")[2])
    options.add_argument("--binary", type=pathlib.Path, required=True, help="the linkgate to measure")
    options.add_argument("--bar", type=float, default=0.7, help="least nginx CPU / linkgate CPU (default 0.7)")
    options.add_argument("--rounds", type=int, help="paired rounds (default 9, quick 3)")
    options.add_argument("--seconds", type=int, help="length of one measurement (default 5, quick 2)")
    options.add_argument("--quick", action="store_true", help="short rounds; writes no results")
    asked = options.parse_args()
    count, seconds = asked.rounds or (3 if asked.quick else 9), asked.seconds or (2 if asked.quick else 5)

    shutil.rmtree(RUN, ignore_errors=True)
    (RUN / "run").mkdir(parents=True)
    started = []
    try:
        origin_process, origin = start_origin()
        started.append(origin_process)
        peer, peer_port = start_nginx(origin)
        started.append(peer)
        ours, our_port, key = start_linkgate(asked.binary.resolve(), origin)
        started.append(ours)
        proxies = {"nginx": (peer, peer_port), "linkgate": (ours, our_port)}
        for name, (_, port) in proxies.items():
            check_work(name, port, key, origin)
        write_load(key)
        rounds = []
        for n in range(count):
            order = ["nginx", "linkgate"] if n % 2 == 0 else ["linkgate", "nginx"]
            rounds.append({name: measure(*proxies[name], seconds) for name in order})
            r = rounds[-1]
            print(f"round {n + 1}: nginx {r['nginx']['cpu']:.1f} µs, linkgate {r['linkgate']['cpu']:.1f} µs, "
                  f"ratio {r['nginx']['cpu'] / r['linkgate']['cpu']:.2f}", flush=True)
    finally:
        for process in reversed(started):
            process.end()

    ratios = [r["nginx"]["cpu"] / r["linkgate"]["cpu"] for r in rounds]
    reached = statistics.median(ratios) >= asked.bar
    verdict = (f"nginx CPU / linkgate CPU: **{spread(ratios)}** over {count} paired rounds of {seconds} s; "
               f"bar {asked.bar}: {'reached' if reached else 'MISSED'}")
    print(f"\n{table(rounds)}\n\n{verdict}")
    if not asked.quick:
        write_results(table(rounds), verdict)
    sys.exit(0 if reached else 1)


def write_results(text, verdict):
    notes = (HERE / "compare-notes.md").read_text()
    (HERE / "results").mkdir(exist_ok=True)
    (HERE / "results" / "compare-h1.md").write_text(
        f"# Linkgate and nginx, HTTP/1.1\n\n{datetime.date.today()}, commit {commit()}, {machine()}.\n"
        f"Shared machine: only the ratio means anything.\n\n{text}\n\n{verdict}\n\n{notes}")


if __name__ == "__main__":
    main()
