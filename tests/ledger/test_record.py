"""Sealing, verifying and exporting: sound books pass, and whatever is done to them is named."""

import asyncio
import json
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest

from spendra_control_plane.record import command
from spendra_control_plane.record.rows import STEP_BATCHES
from spendra_control_plane.stores.postgres import Pool, open_pool
from spendra_control_plane.worker.sealing import Sealer, horizon
from tests.ledger.conftest import Desk, account, posted, reservation, settle, voided

CHAINS = ("spend_events", "ledger_entries", "adjustments", "audit")


@pytest.fixture
async def pool(desk: Desk) -> AsyncIterator[Pool]:
    opened = await open_pool(desk.database_url, largest=3)
    yield opened
    await opened.close()


class Record:
    """An organization whose record is sealed, and the command that looks at it."""

    def __init__(self, desk: Desk, pool: Pool, capsys: pytest.CaptureFixture[str]) -> None:
        self.desk, self.pool, self.capsys = desk, pool, capsys
        self.tight = account("tight", 10_000)

    async def spend(self, *costs: int) -> None:
        ledger = self.desk.sidecars[0] if self.desk.sidecars else self.desk.sidecar()
        for cost in costs:
            held = reservation(100, self.tight)
            await ledger.reserve(held)
            await settle(ledger, held, posted(cost) if cost else voided())

    async def seal(self) -> int:
        upto = await horizon(self.pool)
        assert upto is not None
        return len(await Sealer(self.pool).seal_all(self.desk.org_id, upto))

    async def run(self, *words: str) -> tuple[int, str]:
        """Exit code and what was printed."""
        self.capsys.readouterr()
        code = await asyncio.to_thread(command.main, list(words))
        shown = self.capsys.readouterr()
        return code, shown.out + shown.err

    async def verify(self, *words: str) -> tuple[int, str]:
        return await self.run("verify", "--org", self.desk.org_id, *words)

    async def export(self, directory: Path) -> Path:
        code, shown = await self.run("export", str(directory), "--org", self.desk.org_id)
        assert code == 0, shown
        return directory

    async def tamper(self, sql: str) -> None:
        """As somebody who may alter tables. $1 is the organization."""
        async with self.desk.database.transaction():
            await self.desk.database.execute("SET LOCAL session_replication_role = replica")
            await self.desk.database.execute(sql, self.desk.org_id)


@pytest.fixture
async def record(
    desk: Desk, pool: Pool, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Record:
    monkeypatch.setenv("SPENDRA_DATABASE_URL", desk.database_url)
    # Sealing reads in steps of batches: all of a test's are within one.
    await desk.database.execute(
        "SELECT setval('spendra.batches', (last_value / $1 + 1) * $1) FROM spendra.batches"
        " WHERE last_value % $1 > $1 - 100",
        STEP_BATCHES,
    )
    made = Record(desk, pool, capsys)
    await made.spend(10, 20, 0)
    await made.seal()
    await made.spend(30, 40, 50)
    await made.seal()
    return made


async def test_sound_books_verify_live_and_from_an_export(record: Record, tmp_path: Path) -> None:
    await record.spend(60)
    code, live = await record.verify()
    assert code == 0, live
    assert "7 rows in 2 seals, 1 not sealed yet" in live
    directory = await record.export(tmp_path / "export")
    code, offline = await record.run("verify", "--export", str(directory))
    assert (code, offline) == (0, live)


async def test_sealing_again_seals_nothing(record: Record) -> None:
    assert await record.seal() == 0


async def test_several_sealers_make_one_chain(record: Record) -> None:
    await record.spend(1, 2, 3)
    made = await asyncio.gather(*(record.seal() for _ in range(4)))
    assert sum(made) == 2, "events and entries, once each"
    assert (await record.verify())[0] == 0


async def test_a_batch_that_is_still_being_written_is_not_sealed_over(record: Record) -> None:
    late = await asyncpg.connect(record.desk.database_url)
    transaction = late.transaction()
    await transaction.start()
    batch = await late.fetchval("SELECT nextval('spendra.batches')")
    await record.spend(5)
    sealing = asyncio.create_task(horizon(record.pool))
    await asyncio.sleep(0.1)
    assert not sealing.done()
    await late.execute(
        "INSERT INTO spendra.ledger_entries (org_id, batch_id, kind, account, amount_nanousd)"
        " VALUES ($1, $2, 'hold', 'a', 1), ($1, $2, 'hold', 'b', -1)",
        record.desk.org_id,
        batch,
    )
    await transaction.commit()
    await late.close()
    assert (await sealing or 0) >= batch
    await record.seal()
    assert (await record.verify())[0] == 0


CHANGED = (
    "UPDATE spendra.spend_events SET cost_nanousd = 41 WHERE org_id = $1 AND cost_nanousd = 40"
)
REMOVED = "DELETE FROM spendra.spend_events WHERE org_id = $1 AND cost_nanousd = 40"
REASSIGNED = """UPDATE spendra.ledger_entries SET account = 'expense:other'
WHERE org_id = $1 AND amount_nanousd = 40 AND account LIKE 'expense:%'"""
FORGED = """UPDATE spendra.seals SET root = decode(repeat('00', 32), 'hex')
WHERE org_id = $1 AND chain = 'spend_events' AND number = 1"""
UNSEALED = "DELETE FROM spendra.seals WHERE org_id = $1 AND number = 1"
NOT_AFTER = "does not follow the one before it, or was changed"


@pytest.mark.parametrize(
    ("sql", "problem"),
    [
        (CHANGED, "spend_events: seal 2: row {row} was changed"),
        (REMOVED, "spend_events: seal 2: a row is missing before"),
        (REASSIGNED, "ledger_entries: seal 2: row "),
        (FORGED, f"spend_events: seal 1 {NOT_AFTER}"),
        (UNSEALED, f"spend_events: seal 2 {NOT_AFTER}"),
    ],
)
async def test_what_was_done_to_the_database_is_named(
    record: Record, sql: str, problem: str
) -> None:
    row = await record.desk.database.fetchval(
        "SELECT reservation_id FROM spendra.spend_events WHERE org_id = $1 AND cost_nanousd = 40",
        record.desk.org_id,
    )
    await record.tamper(sql)
    code, shown = await record.verify()
    assert code == 1
    assert f"{record.desk.org_id} PROBLEM {problem.format(row=row)}" in shown


async def test_a_removed_end_shows_against_a_noted_head_only(
    record: Record, tmp_path: Path
) -> None:
    noted = str(await record.export(tmp_path / "noted") / "manifest.json")
    await record.tamper("DELETE FROM spendra.seals WHERE org_id = $1 AND number = 2")
    await record.tamper("DELETE FROM spendra.spend_events WHERE org_id = $1 AND cost_nanousd >= 30")
    assert "seal 2 was noted" not in (await record.verify())[1]
    code, shown = await record.verify("--noted", noted)
    assert code == 1
    assert "spend_events: the chain ends at seal 1, and seal 2 was noted" in shown


async def test_a_chain_made_anew_differs_from_the_noted_head(
    record: Record, tmp_path: Path
) -> None:
    noted = str(await record.export(tmp_path / "noted") / "manifest.json")
    await record.tamper("DELETE FROM spendra.seals WHERE org_id = $1 AND number >= 1")
    await record.tamper("UPDATE spendra.spend_events SET provider = 'other' WHERE org_id = $1")
    await record.seal()
    assert (await record.verify())[0] == 0, "by itself it is sound"
    await record.spend(1)
    await record.seal()
    code, shown = await record.verify("--noted", noted)
    assert code == 1
    assert "seal 2 is not the one that was noted" in shown


def edit(path: Path, change: str) -> None:
    lines = path.read_bytes().splitlines(keepends=True)
    if change == "changed":
        lines[1] = lines[1].replace(b'"gpt-4o"', b'"gpt-4x"')
    elif change == "removed":
        del lines[1]
    elif change == "removed at the end":
        del lines[-1]
    elif change == "swapped":
        lines[0], lines[1] = lines[1], lines[0]
    elif change == "repeated":
        lines.insert(1, lines[1])
    path.write_bytes(b"".join(lines))


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ("changed", "seal 1: row"),
        ("removed", "seal 1: a row is missing"),
        ("removed at the end", "seal 2: a row is missing after"),
        ("swapped", "seal 1: row"),
        ("repeated", "seal 1: row"),
    ],
)
async def test_what_was_done_to_an_export_is_named(
    record: Record, tmp_path: Path, change: str, problem: str
) -> None:
    directory = await record.export(tmp_path / "export")
    edit(directory / "spend_events.jsonl", change)
    code, shown = await record.run("verify", "--export", str(directory))
    assert code == 1
    assert f"PROBLEM spend_events: {problem}" in shown


@pytest.mark.parametrize(
    ("file", "old", "new", "problem"),
    [
        ("accounts.jsonl", b'"settled_nanousd":150', b'"settled_nanousd":149', "account tight@0"),
        ("ledger_entries.jsonl", b'"amount_nanousd": 40', b'"amount_nanousd": 41', "batch "),
        (
            "spend_events.jsonl",
            b'"cost_nanousd": 40',
            b'"cost_nanousd": 44',
            "cost 44, expensed 40",
        ),
        ("spend_events.jsonl", b'"outcome": "posted"', b'"outcome": "voided"', "voided at 10"),
        ("audit.jsonl", b'"action": "insert"', b'"action": "update"', "audit: seal 1: row"),
    ],
)
async def test_a_changed_export_is_named(
    record: Record, tmp_path: Path, file: str, old: bytes, new: bytes, problem: str
) -> None:
    directory = await record.export(tmp_path / "export")
    text = (directory / file).read_bytes()
    assert old in text
    (directory / file).write_bytes(text.replace(old, new, 1))
    code, shown = await record.run("verify", "--export", str(directory))
    assert code == 1
    assert problem in shown


async def test_two_events_of_one_reservation_are_named(record: Record, tmp_path: Path) -> None:
    directory = await record.export(tmp_path / "export")
    edit(directory / "spend_events.jsonl", "repeated")
    assert "2 events (two_outcomes)" in (await record.run("verify", "--export", str(directory)))[1]


async def test_an_export_that_cannot_be_read_says_why(record: Record, tmp_path: Path) -> None:
    directory = await record.export(tmp_path / "export")
    again, shown = await record.run("export", str(directory), "--org", record.desk.org_id)
    assert (again, "is not empty" in shown) == (64, True)
    (directory / "open.jsonl").unlink()
    code, shown = await record.run("verify", "--export", str(directory))
    assert (code, "open.jsonl cannot be read" in shown) == (64, True)
    shutil.copy(directory / "manifest.json", directory / "open.jsonl")
    code, shown = await record.run("verify", "--export", str(directory))
    assert (code, "open.jsonl, line 1" in shown) == (64, True)


async def test_an_export_holds_the_canonical_rows(record: Record, tmp_path: Path) -> None:
    directory = await record.export(tmp_path / "export")
    manifest = json.loads((directory / "manifest.json").read_text())
    assert manifest["rows"] == {
        "spend_events": 6,
        "ledger_entries": 34,
        "adjustments": 0,
        "audit": 1,
    }
    assert set(manifest["heads"]) == {"spend_events", "ledger_entries", "audit"}
    text = (directory / "spend_events.jsonl").read_text()
    rows = [json.loads(line) for line in text.splitlines()]
    assert [row["cost_nanousd"] for row in rows] == [10, 20, 0, 30, 40, 50]
    assert all(row["settled_at"].endswith("+00:00") for row in rows)
