"""What schemathesis needs to know of Coffer: who calls, and how the bytes of a resumable upload are sent."""

import json
import os
import subprocess
import uuid

import requests
import schemathesis

BASE = os.environ["COFFER_URL"]
PASSWORD = "Generated-Requests-7"
# The command that makes an administrator of the account whose name is put behind it; none for an ordinary user.
GRANT = json.loads(os.environ.get("COFFER_GRANT", "[]"))
# An act may end the session, or the account: the next login is never far away.
REFRESH_SECONDS = 3


class Account:
    """Whoever cannot log in any more, since an act erased the account or gave it a second factor, registers anew."""

    def __init__(self) -> None:
        self.username = self.register()

    def register(self) -> str:
        username = f"person-{uuid.uuid4().hex[:12]}"
        body = {"username": username, "email": f"{username}@example.org", "password": PASSWORD}
        requests.post(f"{BASE}/register", json=body, timeout=30).raise_for_status()
        if GRANT:
            subprocess.run([*GRANT, username], check=True, capture_output=True, timeout=120)
        return username

    def login(self) -> str:
        body = {"username": self.username, "password": PASSWORD}
        answer = requests.post(f"{BASE}/login", json=body, timeout=30)
        token = answer.json().get("access_token") if answer.status_code == 200 else None
        if token is None:
            self.username = self.register()
            return self.login()
        return token


account = Account()


@schemathesis.auth(refresh_interval=REFRESH_SECONDS)
class Bearer:
    def get(self, case, context):
        return account.login()

    def set(self, case, data, context):
        case.headers = {**(case.headers or {}), "Authorization": f"Bearer {data}"}


@schemathesis.serializer("application/offset+octet-stream")
def offset_octets(ctx, value):
    return value if isinstance(value, bytes) else str(value).encode("utf-8", "replace")
