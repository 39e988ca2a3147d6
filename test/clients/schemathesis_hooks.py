"""What schemathesis needs to know of Coffer: who calls, and how the bytes of a resumable upload are sent."""

import os
import uuid

import requests
import schemathesis

BASE = os.environ["COFFER_URL"]
PASSWORD = "Generated-Requests-7"
# An act may end the session, or the account: the next login is never far away.
REFRESH_SECONDS = 3


class Account:
    """The administrator is the first account; anybody else registers anew when the account has been erased."""

    def __init__(self) -> None:
        self.username = os.environ.get("COFFER_USERNAME") or self.register()

    def register(self) -> str:
        username = f"person-{uuid.uuid4().hex[:12]}"
        body = {"username": username, "email": f"{username}@example.org", "password": PASSWORD}
        requests.post(f"{BASE}/register", json=body, timeout=30).raise_for_status()
        return username

    def login(self) -> str:
        body = {"username": self.username, "password": PASSWORD}
        answer = requests.post(f"{BASE}/login", json=body, timeout=30)
        if answer.status_code == 401:
            self.username = self.register()
            return self.login()
        return answer.json().get("access_token", "none: the account asks for a second factor")


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
