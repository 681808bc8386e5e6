"""Runs every recipe of docs/recipes.md as it stands there, and checks what it printed and what LinkedIn received.

usage: recipes.py RECIPES_MD README_MD        in the environment that tests/tools/with_gateway gives

A recipe is a fenced block whose first line names a language and a file. A recipe that also stands in
the README must be the same there. Runs in a folder that holds the clients' packages.
"""

import json
import os
import re
import subprocess
import sys
import urllib.request
import zlib
from pathlib import Path

PART_BYTES = 4_194_304
SHARE = r"urn:li:share:\d+"
POSTED = (rf"Ada Lovelace\n{SHARE}\n", ["GET /v2/userinfo", "POST /rest/posts"])
IMAGE = ["POST /rest/images?action=initializeUpload", "PUT image"]
VIDEO = ["POST /rest/videos?action=initializeUpload", "PUT part 0", "PUT part 1", "PUT part 2", "POST /rest/videos?action=finalizeUpload"]
UPLOADED = (r"AVAILABLE\nAVAILABLE\n", [*IMAGE, "GET /rest/images/{urn}", *VIDEO, "GET /rest/videos/{urn}"])

# What each prints, and what LinkedIn receives of it.
WANTED = {
    "profile.sh": (r'.*"name":"Ada Lovelace".*', ["GET /v2/userinfo"]),
    "post.sh": (rf"x-restli-id: {SHARE}\r?\n", ["POST /rest/posts"]),
    "image.sh": (r'.*"status":"AVAILABLE".*', [*IMAGE, "GET /rest/images/{urn}"]),
    "video.sh": (r'.*"status":"AVAILABLE".*', [*VIDEO, "GET /rest/videos/{urn}"]),
    "requests_post.py": POSTED,
    "requests_uploads.py": UPLOADED,
    "linkedin_package.py": POSTED,
    "axios_post.mjs": POSTED,
    "axios_uploads.mjs": UPLOADED,
    "fetch_profile.mjs": (r"Ada Lovelace\n", ["GET /v2/userinfo"]),
    "linkedin_package.mjs": POSTED,
}

recipes_md, readme_md = sys.argv[1:]
linkedin_url = os.environ["SANDBOX_URL"]
failed = 0


def check(name, difference):
    """Prints one line: no difference, or which."""
    global failed
    failed += bool(difference)
    print(f"FAILED recipe {name}: {difference}" if difference else f"ok     recipe {name}", flush=True)


def blocks(path):
    """The fenced blocks of a document: (file name or empty, text)."""
    text = Path(path).read_text(encoding="utf-8")
    found = re.findall(r"^```(\w+)(?: +(\S+))?\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    return [(name, body) for _language, name, body in found]


def received(start):
    """What LinkedIn received, from this number on."""
    with urllib.request.urlopen(f"{linkedin_url}/_sandbox/received?from={start}", timeout=10) as answer:
        return json.load(answer)["received"]


def write_media():
    """A picture and a film of three parts; gives the words for their bytes."""
    picture, film = os.urandom(150_001), os.urandom(2 * PART_BYTES + 123_457)
    Path("picture.png").write_bytes(picture)
    Path("film.mp4").write_bytes(film)
    pieces = {"image": picture} | {
        f"part {number}": film[number * PART_BYTES : (number + 1) * PART_BYTES] for number in range(3)
    }
    return {(len(piece), zlib.crc32(piece)): name for name, piece in pieces.items()}


def in_words(request, media):
    """A received request as the table above names it."""
    if request["method"] == "PUT":
        return "PUT " + media.get((request["body_bytes"], request["body_crc32"]), "other bytes")
    target = re.sub(r"/urn%3Ali%3A[^?]+", "/{urn}", request["target"])
    return f"{request['method']} {target}"


def run(name):
    """Runs a recipe that stands in this folder."""
    interpreter = {".sh": "bash", ".py": sys.executable, ".mjs": "node"}[Path(name).suffix]
    return subprocess.run([interpreter, name], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120)


def difference(name, media):
    """Runs a recipe; says what was not as the table wants it."""
    printed, calls = WANTED[name]
    start = max((request["number"] for request in received(0)), default=-1) + 1
    ran = run(name)
    if ran.returncode:
        return f"exit {ran.returncode}: {ran.stdout}{ran.stderr}"
    if not re.fullmatch(printed, ran.stdout, re.DOTALL):
        return f"printed {ran.stdout!r}"
    came = [in_words(request, media) for request in received(start)]
    return f"linkedin received {came}" if came != calls else ""


recipes = dict(blocks(recipes_md))
check("every block has a file's name", [body for name, body in blocks(recipes_md) if not name])
check("every block is run", sorted(set(recipes) ^ set(WANTED)))
media = write_media()
for name, body in recipes.items():
    Path(name).write_text(body, encoding="utf-8")
    check(name, difference(name, media) if name in WANTED else "nothing says what it should do")
if Path(readme_md).exists():
    other = [name for name, body in blocks(readme_md) if name and recipes.get(name) != body]
    check("the readme has the same", other)
sys.exit(1 if failed else 0)
