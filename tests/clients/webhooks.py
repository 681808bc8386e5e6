"""Notices as receivers verify them: the specification's own packages, and the examples of docs/alerts.md.

usage: webhooks.py ALERTS_MD        with LINKGATE, the binary, in the environment; in a folder that holds the packages
"""

import base64
import http.server
import json
import os
import re
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

from standardwebhooks import Webhook

secrets = {name: "whsec_" + base64.b64encode(os.urandom(32)).decode() for name in ("HOOK_SECRET", "HOOK_OLD_SECRET")}
received = []
failed = 0


def check(name, fails):
    """Prints one line: whether it went as it should."""
    global failed
    try:
        fails()
        print(f"ok     webhooks {name}")
    except Exception as error:  # whatever a package throws is a failure
        failed += 1
        print(f"FAILED webhooks {name}: {error!r}")


class Receiver(http.server.BaseHTTPRequestHandler):
    """Keeps what it is sent."""

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        received.append(({name.lower(): value for name, value in self.headers.items()}, body))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_):
        pass


def sent():
    """Has the program send one test notice."""
    server = http.server.HTTPServer(("127.0.0.1", 0), Receiver)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "config.yaml").write_text(
            "alerts:\n  webhooks:\n    - name: test\n"
            f"      url: http://127.0.0.1:{server.server_port}/hooks\n"
            "      secret_env: HOOK_SECRET\n      old_secret_env: HOOK_OLD_SECRET\n"
        )
        environment = {"LINKEDIN_CLIENT_ID": "id", "LINKEDIN_CLIENT_SECRET": "secret", **secrets}
        subprocess.run([os.environ["LINKGATE"], "alerts", "test"], cwd=folder, env=environment, check=True, stdout=subprocess.DEVNULL)
    server.shutdown()
    return received[-1]


def example(language):
    """The fenced block of docs/alerts.md in this language."""
    return re.search(rf"^```{language}\n(.*?)^```$", Path(sys.argv[1]).read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)[1]


def node(code, secret, headers, body):
    """Runs JavaScript that ends well only if the notice is genuine."""
    Path("webhook.mjs").write_text(
        code + "\nimport { readFileSync } from 'node:fs';\n"
        "const { secret, headers, body } = JSON.parse(readFileSync(0, 'utf8'));\nverify(secret, headers, Buffer.from(body));\n"
    )
    asked = json.dumps({"secret": secret, "headers": headers, "body": body.decode()})
    done = subprocess.run(["node", "webhook.mjs"], input=asked, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ValueError(done.stderr[-400:])


def refused(verify, *arguments):
    """Turns a refusal into what is wanted."""
    try:
        verify(*arguments)
    except Exception:
        return
    raise ValueError("a forged notice was taken for genuine")


JS_PACKAGE = """import { Webhook } from "standardwebhooks";
function verify(secret, headers, body) { new Webhook(secret).verify(body.toString(), headers); }"""
headers, body = sent()
ours = {}
exec(example("python"), ours)  # the example itself is what is tried
ways = {
    "python package": lambda secret, head, text: Webhook(secret).verify(text, head),
    "javascript package": lambda *notice: node(JS_PACKAGE, *notice),
    "python example": ours["verify"],
    "javascript example": lambda *notice: node(example("js"), *notice),
}
for way, verify in ways.items():
    for name, secret in secrets.items():
        check(f"{way}, {name.lower()}", lambda: verify(secret, headers, body))
    check(f"{way}, another body", lambda: refused(verify, secrets["HOOK_SECRET"], headers, body + b" "))
    check(f"{way}, another secret", lambda: refused(verify, "whsec_" + base64.b64encode(bytes(32)).decode(), headers, body))
sys.exit(1 if failed else 0)
