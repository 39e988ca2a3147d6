"""Logs in, uploads, lists and downloads with the client that openapi-python-client made, and says what it saw."""

import io
import json
import sys

from coffer_client import AuthenticatedClient, Client
from coffer_client.api.files import download_file, list_file_versions, list_files, replace_file_content, upload_file
from coffer_client.api.login import login
from coffer_client.models import FileDto, FilePageDto, LoginDto, Problem, TokensDto, UploadFileFilesBody
from coffer_client.types import File

url, username, password = sys.argv[1:4]
content = b"what a generated client sends"


def expect(kind, answer):
    if not isinstance(answer, kind):
        raise SystemExit(f"expected {kind.__name__}, not {answer!r}")
    return answer


refused = expect(Problem, login.sync(client=Client(url), body=LoginDto(username=username, password="wrong")))
tokens = expect(TokensDto, login.sync(client=Client(url), body=LoginDto(username=username, password=password)))
client = AuthenticatedClient(url, tokens.access_token)

form = UploadFileFilesBody(file=File(payload=io.BytesIO(content), file_name="form.txt", mime_type="text/plain"))
as_form = expect(FileDto, upload_file.sync(client=client, body=form))
as_bytes = expect(FileDto, upload_file.sync(client=client, body=File(payload=io.BytesIO(content)), name="raw.txt", expires_in=3600))

page = expect(FilePageDto, list_files.sync(client=client))
replaced = expect(FileDto, replace_file_content.sync(as_form.id, client=client, body=File(payload=io.BytesIO(content)), if_match="*"))
versions = list_file_versions.sync(as_form.id, client=client)
downloaded = expect(File, download_file.sync(as_bytes.id, client=client))

print(
    json.dumps(
        {
            "refused": refused.code,
            "names": [item.name for item in page.items],
            "sizes": [as_form.size, as_bytes.size],
            "created": as_form.created_at.year,
            "expires": as_bytes.expires_at is not None,
            "version": replaced.version,
            "versions": [item.version for item in versions.items],
            "content": downloaded.payload.read().decode(),
        }
    )
)
