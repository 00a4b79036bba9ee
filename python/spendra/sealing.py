"""Sealing of secrets: AES-256-GCM under a key derived for one stated purpose."""

import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

_NONCE_BYTES = 12
_VERSION = b"\x01"


class SealError(ValueError):
    """The sealed bytes were changed, or were sealed under another key or for another purpose."""


def derive_key(secret: bytes, purpose: bytes) -> bytes:
    """A 32-byte key for one purpose, from a high-entropy secret (HKDF-SHA256, RFC 5869)."""
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=purpose).derive(secret)


def seal(key: bytes, plaintext: bytes, context: bytes) -> bytes:
    """Version byte, nonce, ciphertext and tag. `context` is authenticated, not stored."""
    nonce = os.urandom(_NONCE_BYTES)
    return _VERSION + nonce + AESGCM(key).encrypt(nonce, plaintext, context)


def unseal(key: bytes, sealed: bytes, context: bytes) -> bytes:
    """The plaintext. Raises SealError when anything about it does not fit."""
    if sealed[:1] != _VERSION:
        msg = "sealed bytes of an unknown version"
        raise SealError(msg)
    nonce, body = sealed[1 : 1 + _NONCE_BYTES], sealed[1 + _NONCE_BYTES :]
    try:
        return AESGCM(key).decrypt(nonce, body, context)
    except (InvalidTag, ValueError):
        msg = "sealed bytes do not open: changed, or sealed under another key"
        raise SealError(msg) from None
