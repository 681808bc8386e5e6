"""Load by wrk: HTTP/1.1, as fast as it is answered."""

import json
import subprocess

from . import ground, work


def write_script(file, key, *, method="GET", path=work.READ, body=None, members=work.MEMBERS, name="m%04d",
                 headers=None, refused_share=0.0, distinct=4096):
    """`distinct` requests for random members, sent over and over; `refused_share` of them to where LinkedIn says 403."""
    fixed = work.request_headers(key) | (headers or {})
    if body is not None:
        fixed["Content-Type"] = "application/json"
    lines = "\n".join(f"  headers[ [[{name}]] ] = [[{value}]]" for name, value in fixed.items())
    file.write_text(f"""
local requests, at = {{}}, 0
function init()
  local headers = {{}}
{lines}
  math.randomseed(1)
  for n = 1, {distinct} do
    headers["Linkgate-Member"] = string.format("{name}", math.random(0, {members - 1}))
    local path = n <= {refused_share} * {distinct} and "{work.REFUSED}" or "{path}"
    requests[n] = wrk.format("{method}", path, headers, {f"[[{body}]]" if body is not None else "nil"})
  end
  for n = {distinct}, 2, -1 do
    local other = math.random(1, n)
    requests[n], requests[other] = requests[other], requests[n]
  end
end
function request() at = at % {distinct} + 1; return requests[at] end
function done(summary, latency)
  local e = summary.errors
  io.write(string.format('\\nJSON {{"requests":%d,"bytes":%d,"micros":%d,"broken":%d,"refused":%d,"p50":%d,"p99":%d}}\\n',
    summary.requests, summary.bytes, summary.duration, e.connect + e.read + e.write + e.timeout, e.status,
    latency:percentile(50), latency:percentile(99)))
end
""")
    return file


def load(script, port, connections, seconds):
    command = ["taskset", "-c", str(ground.OTHER_CORE), "wrk", "-t1", f"-c{connections}", f"-d{seconds}s",
               "-s", str(script), f"http://127.0.0.1:{port}"]
    out = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    told = json.loads(out.rpartition("JSON ")[2])
    if told["broken"]:
        ground.fail(f"{told['broken']} of {told['requests']} requests to port {port} broke")
    return told


def go_through(script, port, connections, distinct):
    """Sends each of the script's `distinct` requests at least once: what only a member's first call costs is then paid."""
    seconds = 2
    # A run begins with the first request again; those that are under way at its end may have had no answer.
    while load(script, port, connections, seconds)["requests"] < distinct + connections:
        seconds *= 2
