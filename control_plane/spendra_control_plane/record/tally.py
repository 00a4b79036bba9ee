"""What the rows add up to: outcomes, entries, totals. On disk, so that memory stays small."""

import sqlite3
import tempfile
from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import msgspec

from spendra_control_plane.record.rows import Account, Line, Open, Retired
from spendra_control_plane.stores.sql import read_statements

_SQL = read_statements(Path(__file__).with_name("tally.sql").read_text("utf-8"))
_RETIRED = ("events", "entries", "cost_nanousd")
_EDGE = timedelta(hours=1)
_JOINED = (
    "two_outcomes", "voided_at_a_cost", "posted_without_its_entries", "entries_without_an_event",
    "open_and_ended",
)  # fmt: skip


def _sum_of(account: str) -> str:
    return "expense" if account.startswith("expense:") else account


class Tally:
    """A context manager: it has a scratch file. Feed every row, then ask for `problems`."""

    def __init__(self, retired: Retired | None) -> None:
        self._retired = retired
        self._kept_since = datetime.fromisoformat(retired.kept_since) if retired else None
        self._directory = tempfile.TemporaryDirectory(prefix="spendra-verify-")
        self._database = sqlite3.connect(
            Path(self._directory.name) / "scratch", isolation_level=None
        )
        self._database.executescript(
            "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; BEGIN;" + _SQL["schema"]
        )
        self._batch: tuple[int, Counter[str]] = (0, Counter())
        self._sums: Counter[str] = Counter()
        for account, nanousd in retired.amounts.items() if retired else ():
            self._sums[_sum_of(account)] += nanousd
        self._sums["cost"] += retired.cost_nanousd if retired else 0
        self._found: list[str] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:  # fmt: skip
        self._database.close()
        self._directory.cleanup()

    def add(self, chain: str, line: Line) -> None:
        """One row, in order of batches."""
        try:
            getattr(self, f"_{chain}")(msgspec.json.decode(line.text), line.batch_id)
        except KeyError as error:
            self._say(f"{chain}: row {line.key} has no {error}")

    def add_open(self, reservation: Open) -> None:
        self._database.execute("INSERT INTO opened VALUES (?)", (reservation.reservation_id,))
        self._sums["open"] += reservation.reserved_nanousd

    def add_account(self, account: Account) -> None:
        booked = self._database.execute(
            "DELETE FROM booked WHERE account = ? RETURNING nanousd", (account.account_id,)
        ).fetchone()
        expected = account.retired_nanousd + (booked[0] if booked else 0)
        if account.settled_nanousd != expected:
            self._say(
                f"account {account.account_id}: it shows {account.settled_nanousd} nano-USD as "
                f"settled, and events and adjustments come to {expected}"
            )

    def problems(self) -> Iterator[str]:
        """Sentences; the first of each kind. Accounts and open reservations must be in."""
        self._end_batch()
        self._database.executescript(_SQL["indexes"])
        yield from self._found
        for name in _JOINED:
            for reservation, what in self._database.execute(_SQL[name]):
                yield f"reservation {reservation}: {what} ({name})"
        for account, nanousd in self._database.execute("SELECT * FROM booked LIMIT 1"):
            yield f"account {account}: {nanousd} nano-USD are booked on it, and it does not exist"
        yield from self._differences()

    def _differences(self) -> Iterator[str]:
        sums = self._sums
        for name in _RETIRED:
            said = getattr(self._retired, name) if self._retired else 0
            if said != sums[f"retired {name}"]:
                audited = sums[f"retired {name}"]
                yield f"{said} {name} are said to be retired, and {audited} in the audit"
        if sums["expense"] != sums["cost"] + sums["adjusted"]:
            yield (
                f"expenses come to {sums['expense']} nano-USD, events to {sums['cost']} and "
                f"adjustments to {sums['adjusted']}"
            )
        if sums["encumbrance:held"] != sums["open"]:
            yield (
                f"the books hold {sums['encumbrance:held']} nano-USD, and open reservations "
                f"come to {sums['open']}"
            )

    def _spend_events(self, row: dict[str, Any], batch: int) -> None:
        cost, posted = row["cost_nanousd"], row["outcome"] == "posted"
        # The entries of the first that are kept may have gone with the month before: clocks differ.
        at_the_edge = not self._is_kept(row, _EDGE)
        values = (row["reservation_id"], row["outcome"], cost, at_the_edge, batch)
        self._database.execute("INSERT INTO events VALUES (?, ?, ?, ?, ?)", values)
        self._sums["cost"] += cost if posted else 0
        self._book(row["account_ids"] if posted else [], cost)

    def _adjustments(self, row: dict[str, Any], _batch: int) -> None:
        self._sums["adjusted"] += row["amount_nanousd"]
        self._book(row["account_ids"], row["amount_nanousd"])

    def _audit(self, row: dict[str, Any], _batch: int) -> None:
        """It moves no money, but says what was retired."""
        if row["what"] == "retirements":
            for name in _RETIRED:
                self._sums[f"retired {name}"] += row["after"][name]

    def _ledger_entries(self, row: dict[str, Any], batch: int) -> None:
        if batch != self._batch[0]:
            self._end_batch()
            self._batch = (batch, Counter())
        amount, account = row["amount_nanousd"], row["account"]
        self._batch[1][row["kind"]] += amount
        self._sums[_sum_of(account)] += amount
        if row["kind"] == "spend" and self._is_kept(row):
            sides = (amount, 0) if account.startswith("expense:") else (0, amount)
            values = (row["reservation_id"], *sides, batch)
            self._database.execute("INSERT INTO spends VALUES (?, ?, ?, ?)", values)

    def _is_kept(self, row: dict[str, Any], later: timedelta = timedelta()) -> bool:
        """Whether all that is booked of what was reserved then is still there."""
        if self._kept_since is None:
            return True
        return datetime.fromisoformat(row["reserved_at"]) >= self._kept_since + later

    def _end_batch(self) -> None:
        number, sums = self._batch
        for kind, nanousd in sums.items():
            if nanousd:
                self._say(f"batch {number}: its {kind} entries come to {nanousd} nano-USD, not 0")
        self._batch = (number, Counter())

    def _book(self, accounts: list[str], nanousd: int) -> None:
        self._database.executemany(_SQL["book"], [(account, nanousd) for account in accounts])

    def _say(self, sentence: str) -> None:
        if len(self._found) < 10:  # noqa: PLR2004 (the first few say where to look)
            self._found.append(sentence)
