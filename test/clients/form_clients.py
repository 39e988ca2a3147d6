"""Uploads one form with each Python library, whose ways to write a file name differ, and prints the names that the service kept."""

import json
import sys
import warnings

import httpx
import requests
from urllib3 import encode_multipart_formdata
from urllib3.fields import RequestField, format_multipart_header_param

warnings.filterwarnings("ignore", category=DeprecationWarning)
from urllib3.fields import format_header_param_rfc2231  # noqa: E402

url, token, suffix = sys.argv[1:4]
headers = {"Authorization": f"Bearer {token}"}
content = b"what a form carries"


def by_requests(name):
    return requests.post(f"{url}/files", headers=headers, files={"file": (name, content)}, timeout=60)


def by_httpx(name):
    return httpx.post(f"{url}/files", headers=headers, files={"file": (name, content)}, timeout=60)


def by_urllib3(formatter):
    def send(name):
        part = RequestField("file", content, filename=name, header_formatter=formatter)
        part.make_multipart(content_type="text/plain")
        body, content_type = encode_multipart_formdata([part])
        return requests.post(f"{url}/files", headers={**headers, "Content-Type": content_type}, data=body, timeout=60)

    return send


WAYS = {
    "requests": by_requests,
    "httpx": by_httpx,
    "urllib3": by_urllib3(format_multipart_header_param),
    # `filename*` of RFC 2231 alone, as older releases of requests sent it.
    "rfc2231": by_urllib3(format_header_param_rfc2231),
}

kept = {}
for way, send in WAYS.items():
    answer = send(f"{way} {suffix}")
    kept[way] = answer.json().get("name") if answer.status_code == 201 else f"{answer.status_code} {answer.text}"
print(json.dumps(kept))
