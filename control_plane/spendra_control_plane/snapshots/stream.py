"""The snapshot stream of one sidecar, as server-sent events."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

import msgspec
from anyio import CancelScope

from spendra.sealing import derive_key, seal
from spendra.snapshot import SECRETS_CONTEXT, Envelope, to_text
from spendra_control_plane.snapshots.feed import Feed, Subscription
from spendra_control_plane.snapshots.reader import NOTHING, Held, Published, Reader
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

    async def events(self, subscription: Subscription, have: str) -> AsyncIterator[bytes]:
        """The current snapshot at once, then each newer one, until the feed closes.

        `have` is the snapshot that the sidecar has already, as `spendra.snapshot.have` says it.
        """
        self.feed.subscribe(subscription)
        try:
            await self.sidecars.connected(subscription)
            held = await self.reader.held(subscription.org_id, have, subscription.view)
            async for event in self._events(subscription, held):
                yield event
        finally:
            if self.feed.unsubscribe(subscription):
                self.reader.forget(subscription.org_id)
            with CancelScope(shield=True):
                await self.sidecars.disconnected(subscription)

    async def _events(self, subscription: Subscription, held: Held) -> AsyncIterator[bytes]:
        version = 0
        while not subscription.closed:
            published = await self.reader.newest(
                subscription.org_id, subscription.version, subscription.view
            )
            if published.version > version:
                version = published.version
                if subscription.send_whole:
                    subscription.send_whole, held = False, NOTHING
                yield self._event(published, held)
                held = published.held
            elif not await subscription.wait(KEEPALIVE_S):
                yield KEEPALIVE

    def _event(self, published: Published, held: Held) -> bytes:
        """Made once for all sidecars that have the same; a whole one is not kept."""
        new = [one for one in published.hashes.items() if one[1] not in held.hashes]
        sealed_for = self.token if any(name == "secrets" for name, _ in new) else ""
        known = published.events.get((held.which, sealed_for))
        if known is not None:
            return known
        made = self._encode(published, new)
        if held is not NOTHING:
            published.events[held.which, sealed_for] = made
        return made

    def _encode(self, published: Published, new: list[tuple[str, str]]) -> bytes:
        segments = published.segments
        envelope = Envelope(
            manifest=to_text(published.manifest),
            signature=to_text(published.signature),
            segments={
                hash_: to_text(self._travelling(name, segments[hash_])) for name, hash_ in new
            },
        )
        data = msgspec.json.encode(envelope)
        return b"event: snapshot\nid: %d\ndata: %b\n\n" % (published.version, data)

    def _travelling(self, name: str, plaintext: bytes) -> bytes:
        if name != "secrets":
            return plaintext
        key = derive_key(self.token.encode(), SECRETS_CONTEXT)
        return seal(key, plaintext, SECRETS_CONTEXT)
