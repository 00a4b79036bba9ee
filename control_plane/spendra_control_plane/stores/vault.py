"""Secrets at rest: sealed under the master key, each bound to its organization and purpose."""

from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from spendra.sealing import derive_key, seal, unseal

_PURPOSE: Final = b"spendra control plane secrets v1"
SIGNING_KEY: Final = "signing_key"
"""The purpose for which the key that signs an organization's snapshots is sealed."""


class Vault:
    """Seals with a key derived from the 32-byte master key."""

    def __init__(self, master_key: bytes) -> None:
        self._key = derive_key(master_key, _PURPOSE)

    def seal(self, org_id: str, purpose: str, plaintext: bytes) -> bytes:
        return seal(self._key, plaintext, _context(org_id, purpose))

    def unseal(self, org_id: str, purpose: str, sealed: bytes) -> bytes:
        """Raises SealError when it was changed, moved, or sealed under another master key."""
        return unseal(self._key, sealed, _context(org_id, purpose))

    def signing_key(self, org_id: str, sealed: bytes) -> Ed25519PrivateKey:
        """What the organization's snapshots are signed with."""
        return Ed25519PrivateKey.from_private_bytes(self.unseal(org_id, SIGNING_KEY, sealed))


def credential_of(provider: str) -> str:
    """The purpose for which a provider route's credential is sealed."""
    return f"credential {provider}"


def _context(org_id: str, purpose: str) -> bytes:
    return f"{org_id}\n{purpose}".encode()
