"""Ed25519 signatures (RFC 8032), which OpenSSL makes keys for and checks as well.

openssl genpkey -algorithm ed25519 -out key.pem
openssl pkey -in key.pem -pubout -out key.pub.pem
openssl pkeyutl -verify -pubin -inkey key.pub.pem -rawin -in SHA256SUMS -sigfile SHA256SUMS.sig
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key

from calibration.errors import not_read
from vggexport.errors import InputError

MAX_KEY_BYTES = 1 << 16


def signer(key: Path) -> Callable[[bytes], bytes]:
    """What signs messages: 64 bytes, the same for the same message and key.

    Raises:
        InputError: The key cannot be read, or is not an Ed25519 private key without a password.
    """
    text = _read(key, f"make one with openssl genpkey -algorithm ed25519 -out {key}")
    try:
        private = load_pem_private_key(text, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise InputError(
            f"{key} is not a private key in PEM without a password: make one with openssl genpkey "
            "-algorithm ed25519"
        ) from error
    if not isinstance(private, Ed25519PrivateKey):
        raise InputError(
            f"{key} is a private key, but not of Ed25519: make one with openssl genpkey -algorithm "
            "ed25519"
        )
    return private.sign


def verify(message: bytes, signature: bytes, key: Path) -> bool:
    """Whether the owner of a public key signed a message.

    Raises:
        InputError: The key cannot be read, or is not an Ed25519 public key.
    """
    text = _read(key, f"its owner makes it with openssl pkey -in key.pem -pubout -out {key}")
    try:
        public = load_pem_public_key(text)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise InputError(
            f"{key} is not a public key in PEM: get it from the private one with openssl pkey "
            "-pubout"
        ) from error
    if not isinstance(public, Ed25519PublicKey):
        raise InputError(f"{key} is a public key, but not of Ed25519")
    try:
        public.verify(signature, message)
    except InvalidSignature:
        return False
    return True


def _read(key: Path, made: str) -> bytes:
    try:
        with key.open("rb") as file:
            text = file.read(MAX_KEY_BYTES + 1)
    except OSError as error:
        raise InputError(f"key {key} {not_read(error)}", made) from error
    if len(text) > MAX_KEY_BYTES:
        raise InputError(f"{key} is too large for a key: name a PEM file")
    return text
