"""The journal survives crashes, bad rows and full disks, and one bad row holds up nobody."""

from pathlib import Path

import pytest

from spendra_sidecar.ledger.journal import Journal, Row
from spendra_sidecar.ledger.words import Outcome
from tests.ledger.conftest import Desk, account, posted, reservation
from tests.ledger.test_stores_away import Gate

UNBOOKABLE = posted(100)._replace(confidence="guessed")
"""Postgres has a CHECK on it."""


def row(end: Outcome | None = None) -> Row:
    return Row(reservation(1).id, end or posted(5))


async def test_rows_come_back_after_a_crash(tmp_path: Path) -> None:
    path, rows = tmp_path / "journal.jsonl", [row(), row()]
    await Journal(path).keep(rows)
    again = Journal(path)
    assert again.pending == rows
    await again.landed(2)
    assert Journal(path).pending == []


async def test_a_line_cut_by_a_crash_spoils_no_line_after_it(tmp_path: Path) -> None:
    path, first, second = tmp_path / "journal.jsonl", row(), row()
    await Journal(path).keep([first])
    whole = path.read_bytes()
    for cut in range(1, len(whole)):
        path.write_bytes(whole + whole[:cut])
        await Journal(path).keep([second])
        assert Journal(path).pending == [first, second]


async def test_a_line_that_cannot_be_read_is_set_aside(tmp_path: Path) -> None:
    path, good = tmp_path / "journal.jsonl", row()
    await Journal(path).keep([good])
    path.write_bytes(b'{"reservation_id": 4}\n' + path.read_bytes())
    journal = Journal(path)
    assert journal.pending == [good]
    assert journal.refused_path.read_bytes() == b'{"reservation_id": 4}\n'


async def test_a_disk_that_takes_nothing_keeps_rows_in_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    journal, kept = Journal(tmp_path / "journal.jsonl"), row()

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    await journal.keep([kept])
    assert journal.pending == [kept]
    assert "No space left" in caplog.text


async def test_a_settlement_that_postgres_refuses_holds_up_no_other(desk: Desk) -> None:
    ledger, tight = desk.sidecar(), account("tight", 1000)
    held = [reservation(100, tight) for _ in range(5)]
    for each in held:
        await ledger.reserve(each)
    for position, each in enumerate(held):
        ledger.settle(each, UNBOOKABLE if position == 2 else posted(10))
    await ledger.drain()
    assert ledger.journaled == 0
    assert await desk.totals(tight) == (40, 100)
    aside = (desk.state_dir / "sidecar-0" / "journal.refused.jsonl").read_text()
    assert str(held[2].id) in aside
    assert aside.count("\n") == 1


async def test_a_journaled_row_that_postgres_refuses_does_not_block_the_journals_head(
    desk: Desk,
) -> None:
    gate, tight = Gate(desk.database_url), account("tight", 1000)
    ledger = desk.sidecar(database_url=await gate.open())
    held = [reservation(100, tight) for _ in range(3)]
    for each in held:
        await ledger.reserve(each)
    gate.shut()
    for position, each in enumerate(held):
        ledger.settle(each, posted(10) if position else UNBOOKABLE)
    await ledger.drain()
    assert ledger.journaled == 3
    gate.is_open = True
    await ledger.drain()
    assert ledger.journaled == 0
    assert await desk.totals(tight) == (20, 100)
    await gate.close()


async def test_a_models_name_with_a_nul_is_booked_without_it(desk: Desk) -> None:
    ledger, tight = desk.sidecar(), account("tight", 1000)
    held = reservation(100, tight)
    await ledger.reserve(held)
    ledger.settle(held, posted(10)._replace(model="gpt\0-4o"))
    await ledger.drain()
    sql = "SELECT model FROM spendra.spend_events WHERE org_id = $1"
    assert await desk.database.fetchval(sql, desk.org_id) == "gpt-4o"


async def test_a_reservation_that_postgres_refuses_harms_no_other_of_its_group(
    desk: Desk,
) -> None:
    ledger, wide = desk.sidecar(), account("wide", 10**9)
    await ledger.reserve(reservation(1, wide))
    group = [reservation(1, wide) for _ in range(6)]
    group[3].facts = '{"label:x":["\\u0000"]}'
    generation = await desk.database.fetchval("SELECT spendra.current_generation($1)", desk.org_id)
    for each in group:
        each.generation = generation
    written = await ledger._write(group)  # noqa: SLF001 - a group, which time would make or not
    refused = {id_ for each in written for id_ in each.unwritten}
    assert refused == {group[3].id}
    assert await desk.totals(wide) == (0, 6)
