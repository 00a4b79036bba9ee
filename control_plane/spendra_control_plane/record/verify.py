"""Verification: chains, Merkle roots, entry sums, outcomes and totals, from any source."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field

from spendra.chains import CHAINS, Seal, first_difference, is_sound, leaf_hash, root
from spendra_control_plane.record.export import Head
from spendra_control_plane.record.rows import Line, RetiredSeal, Source
from spendra_control_plane.record.tally import Tally


@dataclass
class Chain:
    """What was seen of one chain. `unsealed`: rows that came after the newest seal.

    `retired`: sealed rows that are no longer kept.
    """

    rows: int = 0
    retired: int = 0
    unsealed: int = 0
    seals: int = 0
    head: Head | None = None


@dataclass
class Verdict:
    """`problems` are sentences; the first names the first bad row."""

    org_id: str
    chains: dict[str, Chain] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)


async def verify(source: Source, noted: Mapping[str, Head] | None = None) -> Verdict:
    """`noted`: heads that were written down elsewhere; a chain must still contain each."""
    verdict = Verdict(source.org_id)
    retired: dict[str, dict[int, RetiredSeal]] = {chain: {} for chain in CHAINS}
    async for seal in source.retired_seals():
        retired[seal.chain][seal.number] = seal
    totals = await source.retired()
    with Tally(totals) as tally:
        for chain in CHAINS:
            checked = _Checked(source, chain, tally, (noted or {}).get(chain), retired[chain])
            verdict.chains[chain] = await checked.run()
            verdict.problems += checked.problems
        async for reservation in source.open():
            tally.add_open(reservation)
        async for account in source.accounts():
            tally.add_account(account)
        verdict.problems += tally.problems()
    for chain, said in (
        ("spend_events", totals.events if totals else 0),
        ("ledger_entries", totals.entries if totals else 0),
    ):
        seen = verdict.chains[chain].retired
        if seen != said:
            verdict.problems.append(f"{chain}: {said} rows are retired, and seals lack {seen}")
    return verdict


def _split(text: str, size: int) -> list[str]:
    return [text[at : at + size] for at in range(0, len(text), size)]


class _Checked:
    """One chain: its seals and its rows, walked side by side."""

    def __init__(
        self, source: Source, chain: str, tally: Tally, noted: Head | None,
        retired: Mapping[int, RetiredSeal],
    ) -> None:  # fmt: skip
        self._source, self._chain, self._tally, self._noted = source, chain, tally, noted
        self._retired = retired
        self._seen = Chain()
        self._waiting: Line | None = None
        self.problems: list[str] = []

    async def run(self) -> Chain:
        lines = self._source.lines(self._chain)
        before = None
        async for seal in self._source.seals(self._chain):
            self._check_link(seal, before)
            self._check_rows(seal, await self._take(lines, seal.last_batch))
            before = seal
        self._seen.head = Head(before.number, before.hash) if before else None
        while await self._take(lines, None, at_most=1000):
            pass
        self._check_noted()
        return self._seen

    async def _take(
        self, lines: AsyncIterator[Line], upto: int | None, at_most: int | None = None
    ) -> list[Line]:
        """The rows up to a batch (None: any), each counted once."""
        taken: list[Line] = []
        while at_most is None or len(taken) < at_most:
            line = self._waiting or await anext(lines, None)
            self._waiting = line
            if line is None or (upto is not None and line.batch_id > upto):
                break
            self._waiting = None
            self._tally.add(self._chain, line)
            taken.append(line)
        self._seen.rows += len(taken)
        self._seen.unsealed += len(taken) if upto is None else 0
        return taken

    def _check_link(self, seal: Seal, before: Seal | None) -> None:
        self._seen.seals += 1
        if not is_sound(seal, before) or seal.org_id != self._source.org_id:
            self._say(f"seal {seal.number} does not follow the one before it, or was changed")
        noted = self._noted
        if noted and noted.number == seal.number and noted.hash != seal.hash:
            self._say(f"seal {seal.number} is not the one that was noted")

    def _check_rows(self, seal: Seal, lines: list[Line]) -> None:
        gone = self._retired.get(seal.number)
        if gone is not None:
            self._check_kept(seal, gone, lines)
            return
        texts = [line.text for line in lines]
        if len(texts) == seal.rows and root(map(leaf_hash, texts)).hex() == seal.root:
            return
        where = first_difference(seal.marks, [line.key for line in lines], texts)
        self._say(f"seal {seal.number}: {where or 'its root is not that of its rows'}")

    def _check_kept(self, seal: Seal, gone: RetiredSeal, lines: list[Line]) -> None:
        """Of the others the leaves are known, and the root proves those."""
        self._seen.retired += gone.rows
        if len(lines) + gone.rows != seal.rows:
            kept, sealed = f"{len(lines)} rows are there", f"{seal.rows} were sealed"
            self._say(f"seal {seal.number}: {kept}, {gone.rows} are retired, and {sealed}")
            return
        leaves = [bytes.fromhex(leaf) for leaf in _split(gone.leaves, 64)]
        if lines and root(leaves).hex() != seal.root:
            self._say(f"seal {seal.number}: its root is not that of the leaves that were kept")
            return
        known = iter(leaves)
        for line in lines:
            if leaf_hash(line.text) not in known:
                self._say(f"seal {seal.number}: row {line.key} was changed, added or moved")
                return

    def _check_noted(self) -> None:
        noted, head = self._noted, self._seen.head
        if noted and (head is None or head.number < noted.number):
            shown = f"ends at seal {head.number}" if head else "has no seal"
            self._say(f"the chain {shown}, and seal {noted.number} was noted: its end was removed")

    def _say(self, what: str) -> None:
        self.problems.append(f"{self._chain}: {what}")
