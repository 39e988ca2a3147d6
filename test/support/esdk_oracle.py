"""The official AWS Encryption SDK for Python as an oracle: one request in JSON on stdin, one answer on stdout."""

import base64
import json
import sys

import aws_encryption_sdk
from aws_encryption_sdk.identifiers import (
    Algorithm,
    CommitmentPolicy,
    EncryptionKeyType,
    WrappingAlgorithm,
)
from aws_encryption_sdk.internal.crypto.wrapping_keys import WrappingKey
from aws_encryption_sdk.key_providers.raw import RawMasterKeyProvider


class OneKey(RawMasterKeyProvider):
    """A raw AES key of 256 bits: what GET /files/{id}/key gives."""

    provider_id = None

    def __init__(self, namespace, key):
        self.provider_id = namespace
        self._key = key

    def __new__(cls, namespace, key):
        provider = super().__new__(cls)
        provider.provider_id = namespace
        return provider

    def _get_raw_key(self, key_id):
        return WrappingKey(
            wrapping_algorithm=WrappingAlgorithm.AES_256_GCM_IV12_TAG16_NO_PADDING,
            wrapping_key=self._key,
            wrapping_key_type=EncryptionKeyType.SYMMETRIC,
        )


def main():
    request = json.load(sys.stdin)
    client = aws_encryption_sdk.EncryptionSDKClient(commitment_policy=CommitmentPolicy.REQUIRE_ENCRYPT_REQUIRE_DECRYPT)
    provider = OneKey(request["namespace"], bytes.fromhex(request["key"]))
    provider.add_master_key(request["keyName"])
    source = base64.b64decode(request["bytes"])
    if request["act"] == "decrypt":
        result, header = client.decrypt(source=source, key_provider=provider)
    else:
        result, header = client.encrypt(
            source=source,
            key_provider=provider,
            encryption_context=request["context"],
            algorithm=Algorithm.AES_256_GCM_HKDF_SHA512_COMMIT_KEY,
            frame_length=request["frameLength"],
        )
    json.dump({"bytes": base64.b64encode(result).decode(), "context": header.encryption_context}, sys.stdout)


main()
