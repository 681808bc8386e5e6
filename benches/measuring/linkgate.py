"""`linkgate serve` with its defaults and one path thread, in front of an origin."""

import concurrent.futures
import json
import os
import re
import shutil
import subprocess
import time
import urllib.request

from . import ground, work


class Linkgate:
    """A running gateway."""

    name = "linkgate"

    def __init__(self, place, binary, home, process, port, admin, environment, start_seconds):
        self.place, self.binary, self.home = place, binary, home
        self.process, self.port, self.admin = process, port, admin
        self.environment = environment
        # From the process's begin until the callers' listener answered.
        self.start_seconds = start_seconds

    def command(self, *words, **options):
        asked = [str(self.binary), "--config", str(self.home / "config.yaml"), *words]
        return subprocess.run(asked, check=True, env=os.environ | self.environment, capture_output=True, text=True, **options).stdout

    def import_members(self):
        def one(member):
            name, token = member
            self.command("members", "import", name, input=json.dumps({"access_token": token, "expires_in": 5_000_000}))

        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            list(pool.map(one, work.tokens().items()))

    def new_key(self):
        return self.command("keys", "create", "bench", "--any-member").strip()

    def metric(self, name, label=""):
        """The sum of a metric over its labels, or over those series that have `label`."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.admin}/metrics", timeout=10) as answer:
            lines = answer.read().decode()
        found = re.findall(rf"(?m)^{name}(?:\{{[^}}]*{label}[^}}]*\}}){'' if label else '?'} (\S+)$", lines)
        return sum(map(float, found))


def start(place, binary, origin, *, tune=None, data=None, serve=None, name="linkgate", patience=10, cores=ground.PROXY_CORE):
    """`tune` names configuration keys; `data` is a data folder to begin with; `serve` starts the binary otherwise. It starts on
    `cores`, and is on one when this returns."""
    port, admin, home = ground.free_port(), ground.free_port(), place.folder / name
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir()
    (home / "secret").write_text("secret")
    (home / "config.yaml").write_text(configuration(port, admin, origin))
    if data:
        shutil.copytree(data, home / "data")
    words = ["--config", str(home / "config.yaml"), "serve"]
    variables = environment(tune or {})
    began = time.monotonic()
    process = place.start(cores, *(serve or [binary]), *words, port=port, patience=patience,
                          environment=variables)
    start_seconds = time.monotonic() - began
    process.pin(ground.PROXY_CORE)
    return Linkgate(place, binary, home, process, port, admin, variables, start_seconds)


def environment(tune):
    """`incidents.max_per_minute` is `LINKGATE__INCIDENTS__MAX_PER_MINUTE`."""
    return {f"LINKGATE__{key.upper().replace('.', '__')}": str(value) for key, value in tune.items()}


def configuration(port, admin, origin):
    tls = f"  ca_file: '{origin.ca_file}'" if origin.ca_file else ""
    return f"""
gateway: {{ listen: '127.0.0.1:{port}', threads: 1 }}
admin: {{ listen: '127.0.0.1:{admin}' }}
linkedin:
  api_url: '{origin.url}'
  oauth_url: '{origin.url}/oauth'
  uploads_url: '{origin.url}'
{tls}
applications:
  - {{ name: default, client_id: bench, client_secret_file: secret }}
"""


def members_data(place, binary, origin):
    """A data folder with the 1,000 members and a key, made once; and the key."""
    first = start(place, binary, origin, name="members")
    first.import_members()
    key = first.new_key()
    place.end(first.process)
    return first.home / "data", key
