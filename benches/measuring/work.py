"""The work that every proxy is given: the same bytes in, one of 1,000 tokens out, the same answer back."""

import json
import random

MEMBERS, TOKEN_LENGTH = 1000, 1000
ANSWER_BYTES, POST_BYTES, STREAM_BYTES = 1024, 10 * 1024, 1 << 20

READ = "/rest/adAnalytics?q=analytics&pivot=CAMPAIGN&accounts=List(urn%3Ali%3AsponsoredAccount%3A1)"
POST = "/rest/posts"
STREAM = "/rest/report"
REFUSED = "/rest/refused"

# docs/linkedin.md §5; with nginx's Server, Date, Content-Type, Content-Length and Connection: 16.
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


def answer_body():
    row = {"impressions": 1234, "clicks": 56, "pivotValues": ["urn:li:sponsoredCampaign:123456"]}
    text = json.dumps({"paging": {"start": 0, "count": 10}, "elements": [row] * 10})
    return text.ljust(ANSWER_BYTES)


def refused_body():
    text = json.dumps({"status": 403, "serviceErrorCode": 100, "code": "ACCESS_DENIED",
                       "message": "Not enough permissions to access: adAnalytics.FINDER-analytics.20260901"})
    return text.ljust(ANSWER_BYTES)


def post_body():
    text = json.dumps({"author": "urn:li:organization:1", "commentary": "All new! " * 1100})
    return text[:-2].ljust(POST_BYTES - 2, "x") + '"}'


def member(number):
    return f"m{number:04}"


def tokens():
    draw = random.Random(20261123)
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    return {member(n): "AQ" + "".join(draw.choices(letters, k=TOKEN_LENGTH - 2)) for n in range(MEMBERS)}


def request_headers(key):
    return {
        "Authorization": f"Bearer {key}",
        "LinkedIn-Version": "202609",
        "X-Restli-Protocol-Version": "2.0.0",
        "Accept": "application/json",
        "User-Agent": "compare/1",
    }


def text(key, member, path=READ, host="127.0.0.1", body=None):
    """One request as it stands on the wire; a POST where it has a body."""
    headers = {"Host": host} | request_headers(key) | {"Linkgate-Member": member}
    if body is not None:
        headers |= {"Content-Length": len(body), "Content-Type": "application/json"}
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"{'GET' if body is None else 'POST'} {path} HTTP/1.1\r\n{lines}\r\n{body or ''}"
