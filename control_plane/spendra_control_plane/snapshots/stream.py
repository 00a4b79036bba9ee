"""The snapshot stream of one sidecar, as server-sent events."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

import msgspec
from anyio import CancelScope

from spendra.sealing import derive_key, seal
from spendra.snapshot import SECRETS_CONTEXT, Envelope, to_text
from spendra_control_plane.snapshots.feed import Feed, Subscription
from spendra_control_plane.snapshots.reader import Published, Reader
from spendra_control_plane.snapshots.sidecars import Sidecars

KEEPALIVE_S = 2.0
KEEPALIVE = b": keepalive\n\n"


@dataclass(frozen=True)
class Stream:
    """`token` is the sidecar's token text: what the secrets are sealed with."""

    feed: Feed
    reader: Reader
    sidecars: Sidecars
    token: str

    async def events(self, subscription: Subscription, have: set[str]) -> AsyncIterator[bytes]:
        """The current snapshot at once, then each newer one, until the feed closes.

        `have` are the hashes of segments that the sidecar holds already.
        """
        self.feed.subscribe(subscription)
        try:
            await self.sidecars.connected(subscription)
            async for event in self._events(subscription, have):
                yield event
        finally:
            if self.feed.unsubscribe(subscription):
                self.reader.forget(subscription.org_id)
            with CancelScope(shield=True):
                await self.sidecars.disconnected(subscription)

    async def _events(self, subscription: Subscription, held: set[str]) -> AsyncIterator[bytes]:
        version = 0
        while not subscription.closed:
            published = await self.reader.newest(subscription.org_id, subscription.version)
            if published.version > version:
                version = published.version
                if subscription.send_whole:
                    subscription.send_whole, held = False, set()
                yield _event(published, self._envelope(published, held))
                held = set(published.segments)
            elif not await subscription.wait(KEEPALIVE_S):
                yield KEEPALIVE

    def _envelope(self, published: Published, held: set[str]) -> Envelope:
        return Envelope(
            manifest=to_text(published.manifest),
            signature=to_text(published.signature),
            segments={
                hash_: to_text(self._travelling(name, published.segments[hash_]))
                for name, hash_ in published.hashes.items()
                if hash_ not in held
            },
        )

    def _travelling(self, name: str, plaintext: bytes) -> bytes:
        if name != "secrets":
            return plaintext
        key = derive_key(self.token.encode(), SECRETS_CONTEXT)
        return seal(key, plaintext, SECRETS_CONTEXT)


def _event(published: Published, envelope: Envelope) -> bytes:
    data = msgspec.json.encode(envelope)
    return b"event: snapshot\nid: %d\ndata: %b\n\n" % (published.version, data)
