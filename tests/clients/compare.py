"""Runs one client's story twice, straight at a sandbox and through the gateway, and compares.

usage: compare.py COMMAND…        in the environment that tests/tools/with_gateway gives

The command is told a base URL, a token and a file for the answers. What both LinkedIns received must be equal but for credentials, hop-by-hop headers and the host; what the client was
answered must be equal but for LinkedIn's clock, random ids and the gateway's own headers.
"""

import base64
import itertools
import json
import os
import re
import subprocess
import sys
import urllib.request
from pathlib import Path

# RFC 9110 section 7.6.1, the host, and the credentials; contract: all else goes on unchanged.
OF_ONE_HOP = {"connection", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade"}
OF_THE_WAY = OF_ONE_HOP | {"host", "authorization"}
THE_GATEWAYS_OWN = {"linkgate-exchange", "server-timing"}
# Times and random numbers of the sandbox, and the protocol LinkedIn was reached by.
VARYING = {"date", "x-li-uuid", "x-li-route-key", "x-li-proto"}
RANDOM = [
    (re.compile(r"(urn(?::|%3A)li(?::|%3A)share(?::|%3A))\d+"), r"\1N"),
    (re.compile(r"C4[A-Za-z0-9_-]{20}"), "C4N"),
    (re.compile(r"([?&]ut=)[A-Za-z0-9_-]+"), r"\1N"),
    (re.compile(r"^((?:bcookie|lidc|li_gc)=)[^;]*"), r"\1N"),
    (re.compile(r'("(?:createdAt|uploadUrlExpiresAt)": ?)\d+'), r"\1N"),
    # Portraits lie at the sandbox's own address, and there are two sandboxes.
    (re.compile(r'("picture": ?"http://127\.0\.0\.1:)\d+'), r"\1N"),
]

gateway_url, key = os.environ["LINKGATE_URL"], os.environ["LINKGATE_KEY"]
linkedin_url, linkedin_token = os.environ["SANDBOX_URL"], os.environ["SANDBOX_TOKEN"]
reference_url, reference_token = os.environ["REFERENCE_URL"], os.environ["REFERENCE_TOKEN"]
command = sys.argv[1:]
failed = 0


def check(name, difference):
    """Prints one line: no difference, or which."""
    global failed
    failed += bool(difference)
    print(f"FAILED {name}: {difference}" if difference else f"ok     {name}", flush=True)


def received(url, start):
    """What a sandbox received, from this number on."""
    with urllib.request.urlopen(f"{url}/_sandbox/received?from={start}", timeout=10) as answer:
        return json.load(answer)["received"]


def next_number(url):
    """The number the sandbox's next request will get."""
    return max((request["number"] for request in received(url, 0)), default=-1) + 1


def play(url, token, sandbox_url):
    """Runs the story; gives what it printed, the answers and what the sandbox received."""
    start = next_number(sandbox_url)
    file = Path("answers.json")
    file.unlink(missing_ok=True)
    ran = subprocess.run([*command, url, token, file], capture_output=True, text=True, timeout=120)
    answers = json.loads(file.read_text(encoding="utf-8")) if file.exists() else []
    return ran, answers, received(sandbox_url, start)


def masked(text):
    """The text without what differs from run to run."""
    text = text.replace(f"{gateway_url}/dms-uploads/", "https://www.linkedin.com/dms-uploads/")
    for pattern, instead in RANDOM:
        text = pattern.sub(instead, text)
    return text


def first_difference(one, other):
    """Where two lists or values part."""
    if one == other:
        return ""
    if isinstance(one, list) and isinstance(other, list):
        for a, b in itertools.zip_longest(one, other):
            if a != b:
                return f"{a!r} became {b!r}"
    return f"{one!r} became {other!r}"


def request_of(request):
    """What must reach LinkedIn unchanged."""
    headers = [
        [name.lower(), masked(value)] for name, value in request["headers"] if name.lower() not in OF_THE_WAY
    ]
    body = masked(base64.b64decode(request["body_base64"]).decode())
    return [request["method"], masked(request["target"]), *headers, body]


def answer_of(answer):
    """What must reach the client unchanged."""
    own = OF_ONE_HOP | THE_GATEWAYS_OWN
    # The one change to a body: upload URLs become the gateway's own.
    varying = VARYING | ({"content-length"} if "/dms-uploads/" in answer["body"] else set())
    headers = [
        [name, "varies" if name in varying else masked(value)]
        for name, value in answer["headers"]
        if name not in own
    ]
    return [answer["status"], *headers, masked(answer["body"])]


direct, direct_answers, direct_received = play(reference_url, reference_token, reference_url)
story = " ".join(command[-1].rsplit("/", 1)[-1:])
check(f"{story} straight at the sandbox", direct.returncode and direct.stdout + direct.stderr)
through, answers, at_linkedin = play(gateway_url, key, linkedin_url)
print(through.stdout, end="")
check(f"{story} through the gateway", through.returncode and (through.stderr or "see above"))

names = [answer["call"] for answer in answers]
check(f"{story} calls were made", "" if names else "none")
check(f"{story} each call reached linkedin once", first_difference([len(names)] * 2, [len(direct_received), len(at_linkedin)]))
for name, one, other in zip(names, direct_received, at_linkedin):
    check(f"{name}: linkedin received the same", first_difference(request_of(one), request_of(other)))
for one, other in zip(direct_answers, answers):
    check(f"{one['call']}: the client was answered the same", first_difference(answer_of(one), answer_of(other)))

credentials = [
    [value for header, value in request["headers"] if header.lower() == "authorization"] for request in at_linkedin
]
wrong = [found for found in credentials if found != [f"Bearer {linkedin_token}"]]
check(f"{story} the member's token stood where the key was", len(wrong) and f"{len(wrong)} calls had another")
# The token itself is left out: the sandbox's tokens hold a word of their own to be searched for.
told = json.dumps([request_of(request) for request in at_linkedin]).lower()
secret = key.rsplit("_", 1)[-1].lower()
leaks = [word for word in ("lgk_", "linkgate", secret, gateway_url.removeprefix("http://")) if word in told]
check(f"{story} nothing told linkedin of key or gateway", leaks)
over_http2 = {request["version"] for request in at_linkedin}
check(f"{story} linkedin was reached by http/2", first_difference(["HTTP/2"], sorted(over_http2)))
marked = [answer["call"] for answer in answers if "linkgate-exchange" not in dict(answer["headers"])]
check(f"{story} every answer names its exchange", marked)
sys.exit(1 if failed else 0)
