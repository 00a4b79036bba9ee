"""`spendra prove`: a proof that holds, one that must not, and what a round is judged by."""

import random
import subprocess
import sys
from pathlib import Path

import asyncpg
import pytest

from spendra.arguments import CommandError
from spendra.auditor import Finding
from spendra.command.prove import proof, read
from spendra.command.prove.plan import Plan, Round, judge, table
from spendra.command.prove.product import Product

PLAN = Plan(
    burst=40,
    room=7,
    sidecars=2,
    repeat=1,
    victims=(),
    up_file=None,
    random=random.Random(1),  # noqa: S311 - it chooses victims
)


def sound(**more: int) -> Round:
    found = Round(1, admitted=7, refused=33, limit_nanousd=100, highest_nanousd=95)
    for name, value in more.items():
        setattr(found, name, value)
    return found


def test_a_round_as_promised_is_not_blamed() -> None:
    assert judge(sound(), PLAN) == []


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"highest_nanousd": 101}, "settled + held was 1 nano-USD above the limit"),
        ({"admitted": 8}, "8 calls were admitted where 7 fit"),
        ({"admitted": 6}, "6 of 7 were admitted, 0 failed"),
        ({"unavailable": 1}, "7 of 7 were admitted, 1 failed"),
        ({"drift_nanousd": 3}, "Redis and Postgres differ by 3 nano-USD"),
        ({"left_over": 2}, "2 reservations were left over"),
        ({"recovered_s": None}, "it did not recover in time"),
    ],
)
def test_each_broken_promise_is_named(wrong: dict[str, int], said: str) -> None:
    assert said in judge(sound(**wrong), PLAN)


def test_a_killed_process_excuses_calls_without_an_answer_and_nothing_else() -> None:
    found = sound(admitted=5, unavailable=3, refused=32)
    found.killed = "redis"
    assert judge(found, PLAN) == []
    found.admitted = 8
    assert judge(found, PLAN) == ["8 calls were admitted where 7 fit"]


def test_more_calls_than_fit_are_blamed_only_when_they_came_at_once() -> None:
    found = sound(admitted=8)
    found.at_once = False
    assert judge(found, PLAN) == []


def test_the_table_has_a_line_for_each_burst() -> None:
    lines = table([sound(), sound()]).splitlines()
    assert len(lines) == 3
    assert "95.00%" in lines[1]


@pytest.mark.parametrize(
    "words", [["--kill", "provider"], ["--room", "0"], ["--burst", "5", "--room", "6"]]
)
def test_what_cannot_be_proved_is_refused(words: list[str]) -> None:
    with pytest.raises(CommandError) as error:
        read(words)
    assert error.value.code == 64


def test_any_means_every_kind_of_process() -> None:
    assert set(read(["--kill", "any"]).victims) == {
        "sidecar", "redis", "postgres", "worker", "control-plane"
    }  # fmt: skip


@pytest.mark.timeout(400)
def test_a_burst_over_two_sidecars_with_one_killed_is_proved(tmp_path: Path) -> None:
    words = ["--burst", "60", "--room", "11", "--repeat", "2", "--kill", "any", "--seed", "3"]
    done = subprocess.run(
        [sys.executable, "-m", "spendra.command", "prove", "--own-stores", *words],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "overspent 0, drift 0 nano-USD" in done.stdout
    assert "Everything held." in done.stdout


@pytest.mark.timeout(400)
async def test_planted_drift_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proof, "_AT_REST_WITHIN_S", 3.0)
    audit = proof.audit

    async def planted(
        connection: asyncpg.Connection, redis: object, org_id: str, *told: object, idle: bool
    ) -> list[Finding]:
        """A movement that no event explains, behind the back of every function."""
        await connection.execute(
            "UPDATE spendra.accounts SET settled_nanousd = settled_nanousd + 1 WHERE org_id = $1",
            org_id,
        )
        return await audit(connection, redis, org_id, *told, idle=idle)  # type: ignore[arg-type]

    monkeypatch.setattr(proof, "audit", planted)
    with Product(PLAN) as product:
        assert not await proof.prove(PLAN, product)
