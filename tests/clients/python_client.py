"""LinkedIn's own Python package, unchanged: one call of every kind.

usage: python_client.py BASE_URL TOKEN ANSWERS_FILE

BASE_URL is the gateway's or a sandbox's, TOKEN a key or a LinkedIn token: the story is the same for
both. Prints one line per check; writes what each call was answered, in order, for compare.py.
"""

import json
import sys

from linkedin_api.clients.restli.client import RestliClient
from linkedin_api.common import constants

VERSION = "202609"
AUTHOR = "urn:li:person:python"
# LinkedIn's package sends queries of more than 4,000 characters as the body of a POST.
MANY_IDS = [512345001] + list(range(700000000, 700000500))
LONG_NOTE = "n" * 4100

base_url, token, answers_file = sys.argv[1:4]
constants.VERSIONED_BASE_URL = base_url + "/rest"
constants.NON_VERSIONED_BASE_URL = base_url + "/v2"

client = RestliClient()
answers = []
failed = 0


def call(name, method, **arguments):
    """Makes one call and keeps its answer."""
    answer = getattr(client, method)(access_token=token, **arguments)
    raw = answer.response
    answers.append(
        {
            "call": f"python {name}",
            "status": raw.status_code,
            "headers": [[key.lower(), value] for key, value in raw.raw.headers.items()],
            "body": raw.text,
        }
    )
    return answer


def check(name, found, wanted):
    """Prints one line: equal or not."""
    global failed
    failed += found != wanted
    verdict = "ok    " if found == wanted else "FAILED"
    print(f"{verdict} python {name}" + ("" if found == wanted else f": {found!r} is not {wanted!r}"))


versioned = {"version_string": VERSION}
account = {"resource_path": "/adAccounts/{id}", **versioned}

me = call("profile", "get", resource_path="/me")
check("profile", (me.status_code, me.entity["localizedLastName"]), (200, "Lovelace"))

userinfo = call("userinfo", "get", resource_path="/userinfo")
check("userinfo", (userinfo.status_code, userinfo.entity["name"]), (200, "Ada Lovelace"))

found = call(
    "finder",
    "finder",
    resource_path="/adAccounts",
    finder_name="search",
    query_params={"search": {"status": {"values": ["ACTIVE", "DRAFT"]}, "name": "A (b):c,d é"}, "count": 2},
    **versioned,
)
check("finder", [element["id"] for element in found.elements], [512345001, 512345002])

tunnelled = call(
    "tunnelled finder",
    "finder",
    resource_path="/adAccounts",
    finder_name="search",
    query_params={"search": {"note": LONG_NOTE}, "count": 1},
    **versioned,
)
check("tunnelled finder", [element["id"] for element in tunnelled.elements], [512345001])
check("tunnelled finder went as POST", tunnelled.response.request.method, "POST")

batch = call(
    "batch get", "batch_get", resource_path="/adAccounts", ids=[512345001, 512345002, 5], **versioned
)
check("batch get", (sorted(batch.results), sorted(batch.errors)), (["512345001", "512345002"], ["5"]))

many = call("tunnelled batch get", "batch_get", resource_path="/adAccounts", ids=MANY_IDS, **versioned)
check("tunnelled batch get", (len(many.results), len(many.errors)), (1, 500))
check("tunnelled batch get went as POST", many.response.request.method, "POST")

every = call("get all", "get_all", resource_path="/adAccounts", query_params={"fields": "id,name"}, **versioned)
check("get all", len(every.elements), 2)

made = call(
    "create", "create", resource_path="/adAccounts", entity={"name": "Difference Engines"}, **versioned
)
check("create", (made.status_code, made.decoded_entity_id.isdigit()), (201, True))
key = {"path_keys": {"id": made.decoded_entity_id}}

put = call("update", "update", **account, **key, entity={"name": "Engines, second series"})
check("update", put.status_code, 204)

patched = call(
    "partial update", "partial_update", **account, **key, patch_set_object={"currency": "GBP"}
)
check("partial update", patched.status_code, 204)

read = call("get of the updated", "get", **account, **key)
check(
    "get of the updated",
    (read.entity["name"], read.entity["currency"]),
    ("Engines, second series", "GBP"),
)

gone = call("delete", "delete", **account, **key)
check("delete", gone.status_code, 204)

missing = call("get of the deleted", "get", **account, **key)
check("get of the deleted", missing.status_code, 404)

second = call("second create", "create", resource_path="/adAccounts", entity={"name": "Short-lived"}, **versioned)
check("second create", second.status_code, 201)
key = {"path_keys": {"id": second.decoded_entity_id}}
gone = call("tunnelled delete", "delete", **account, **key, query_params={"note": LONG_NOTE})
check("tunnelled delete", gone.status_code, 204)
check("tunnelled delete went as POST", gone.response.request.method, "POST")

third = call("third create", "create", resource_path="/adAccounts", entity={"name": "Third"}, **versioned)
id = third.decoded_entity_id
removed = call("batch delete", "batch_delete", resource_path="/adAccounts", ids=[id, 6], **versioned)
check("batch delete", {id: result.status for id, result in removed.results.items()}, {id: 204, "6": 404})

post = {"author": AUTHOR, "commentary": "The engine weaves algebraic patterns. é ✓", "visibility": "PUBLIC"}
posted = call("post", "create", resource_path="/posts", entity=post, **versioned)
check("post", (posted.status_code, posted.decoded_entity_id[:13]), (201, "urn:li:share:"))

same = call("duplicate post", "create", resource_path="/posts", entity=post, **versioned)
check("duplicate post", same.status_code, 422)

urn = {"path_keys": {"urn": posted.decoded_entity_id}}
read = call("get by urn", "get", resource_path="/posts/{urn}", **urn, **versioned)
check("get by urn", read.entity["commentary"], post["commentary"])

gone = call("delete by urn", "delete", resource_path="/posts/{urn}", **urn, **versioned)
check("delete by urn", gone.status_code, 204)

started = call(
    "action",
    "action",
    resource_path="/images",
    action_name="initializeUpload",
    action_params={"initializeUploadRequest": {"owner": AUTHOR}},
    **versioned,
)
check("action", (started.status_code, started.value["image"][:13]), (200, "urn:li:image:"))

old = call("inactive version", "get", resource_path="/adAccounts/{id}", path_keys={"id": 1}, version_string="202401")
check("inactive version", old.status_code, 426)

if sys.version_info < (3, 11):
    # From 3.11 on the package itself fails to build this request: it formats an enum as its name.
    long_put = call(
        "tunnelled update",
        "update",
        resource_path="/adAccounts/{id}",
        path_keys={"id": 512345001},
        entity={"name": "Analytical Engines"},
        query_params={"note": LONG_NOTE},
        **versioned,
    )
    check("tunnelled update", long_put.status_code, 204)

with open(answers_file, "w", encoding="utf-8") as file:
    json.dump(answers, file, indent=1)
sys.exit(1 if failed else 0)
