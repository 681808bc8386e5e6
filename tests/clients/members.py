"""LinkedIn's own Python package and one key for several members, and what refusals look like to it.

usage: members.py        in the environment that tests/tools/with_gateway gives
"""

import os
import sys

from linkedin_api.clients.restli.client import RestliClient
from linkedin_api.common import constants

gateway_url = os.environ["LINKGATE_URL"]
key, wide_key = os.environ["LINKGATE_KEY"], os.environ["LINKGATE_WIDE_KEY"]
constants.NON_VERSIONED_BASE_URL = gateway_url + "/v2"
client = RestliClient()
failed = 0


def check(name, presented, wanted):
    """Asks for the profile with this in the token's place."""
    global failed
    answer = client.get(resource_path="/userinfo", access_token=presented)
    body = answer.response.json()
    found = (answer.status_code, body.get("name") or body.get("code"))
    failed += found != wanted
    print(f"ok     members {name}" if found == wanted else f"FAILED members {name}: {found!r} is not {wanted!r}")


check("the key's own", key, (200, "Ada Lovelace"))
check("one of many, named behind the key", f"{wide_key}~ada", (200, "Ada Lovelace"))
check("another of many, by the same client", f"{wide_key}~grace", (200, "Grace Hopper"))
check("with the application", f"{wide_key}~grace/default", (200, "Grace Hopper"))
check("none named", wide_key, (400, "member_not_named"))
check("not covered", f"{key}~grace", (403, "caller_not_allowed"))
check("unknown", f"{key}~nobody", (403, "caller_not_allowed"))
check("a wrong key", key[:-1] + ("0" if key[-1] != "0" else "1"), (401, "caller_unknown"))
check("no key at all", "AQXsomebodystoken", (401, "caller_unknown"))
sys.exit(1 if failed else 0)
