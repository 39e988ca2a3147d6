"""Made samples/keys.json: the encodings, derivations and wraps of docs/formats.md, written from that page in another language.

Run with the Python that has `cryptography`: `python test/vectors/key_vectors.py > test/vectors/samples/keys.json`. The result never changes.
"""

import base64
import json

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

ALICE = "0192f0c0-0000-7000-8000-000000000001"
BOB = "0192f0c0-0000-7000-8000-000000000002"


def part(value):
    if value is None:
        return b"\x00" + (0).to_bytes(4, "big")
    data = value.to_bytes(8, "big") if isinstance(value, int) else value.encode("utf-8")
    return (b"\x02" if isinstance(value, int) else b"\x01") + len(data).to_bytes(4, "big") + data


def encode(parts):
    return len(parts).to_bytes(4, "big") + b"".join(part(value) for value in parts)


def sample_bytes(size, first):
    return bytes((first + at) % 256 for at in range(size))


def encodings():
    lists = [[], [None], [""], ["ab", 7, None, ""], ["a", "bc"], [0, 2**53 - 1], ["zażółć 日本 😀", 1]]
    return [{"parts": parts, "encoded": encode(parts).hex()} for parts in lists]


def contexts():
    of = [("user-key", ALICE, 1), ("user-key", ALICE, 2), ("user-key", BOB, 1), ("integrity", "installation", 1)]
    of += [("one-time-codes", "installation", 1), ("receipts", "installation", 3)]
    return [
        {"purpose": purpose, "owner": owner, "key_version": version, "context": encode([purpose, owner, version]).hex()}
        for purpose, owner, version in of
    ]


def wraps():
    master, key = sample_bytes(32, 0), sample_bytes(32, 100)
    made = []
    for home in ("local", "kv"):
        for at, (version, context) in enumerate([(1, contexts()[0]), (7, contexts()[3])]):
            nonce = sample_bytes(12, 200 + at)
            aad = encode([f"coffer-{home}-wrap", 1, version, context["context"]])
            sealed = base64.b64encode(nonce + AESGCM(master).encrypt(nonce, key, aad)).decode()
            made.append({"home": home, "master_version": version, **context, "wrapped": f"{home}:v{version}:{sealed}"})
    return {"master_key": master.hex(), "key": key.hex(), "wraps": made}


def subkey(user_key, purpose, owner, version):
    info = encode(["coffer:user-key:1", purpose, owner, version])
    return HKDF(algorithm=SHA256(), length=32, salt=b"", info=info).derive(user_key)


def subkeys():
    user_key = sample_bytes(32, 50)
    of = [("records", ALICE, 1), ("file-keys", ALICE, 1), ("secrets", ALICE, 1), ("records", ALICE, 2), ("records", BOB, 1)]
    return {
        "user_key": user_key.hex(),
        "subkeys": [
            {"purpose": purpose, "owner": owner, "version": version, "subkey": subkey(user_key, purpose, owner, version).hex()}
            for purpose, owner, version in of
        ],
    }


def record():
    user_key, nonce = sample_bytes(32, 50), sample_bytes(12, 9)
    place = {"purpose": "records", "ownerId": ALICE, "resourceType": "record", "resourceId": "r1", "field": "value"}
    aad = encode(["coffer:record:1", "records", 2, ALICE, "record", "r1", "value", None])
    sealed = nonce + AESGCM(subkey(user_key, "records", ALICE, 2)).encrypt(nonce, b"4111111111111111", aad)
    return {"place": place, "key_version": 2, "value": "4111111111111111", "envelope": (b"\x01\x00\x02" + sealed).hex()}


print(
    json.dumps(
        {"encodings": encodings(), "contexts": contexts(), **wraps(), **subkeys(), "record": record()},
        indent=2,
        ensure_ascii=False,
    )
)
