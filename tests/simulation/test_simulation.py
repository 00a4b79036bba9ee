"""The real ledger code on many schedules, and broken ledgers that the auditor must catch."""

import pytest

from tests.simulation.mutants import MUTANTS, Mutant
from tests.simulation.world import World

# What a killed process had begun ends unfinished, as it should.
pytestmark = pytest.mark.filterwarnings("ignore:coroutine:RuntimeWarning")
SCHEDULES = 900
MOST_SEEDS_FOR_A_MUTANT = 4000


@pytest.mark.parametrize("part", range(3))
def test_no_schedule_breaks_an_invariant(part: int) -> None:
    admitted = refused = unavailable = 0
    for seed in range(part * SCHEDULES // 3, (part + 1) * SCHEDULES // 3):
        admitted, refused, unavailable = (
            a + b for a, b in zip(_run(seed), (admitted, refused, unavailable), strict=True)
        )
    assert min(admitted, refused, unavailable) > 100, "the schedules meet every kind of answer"


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.__name__)
def test_a_ledger_with_one_rule_broken_is_caught(
    mutant: Mutant, capsys: pytest.CaptureFixture[str]
) -> None:
    with mutant():
        found = next(filter(None, map(_violation, range(MOST_SEEDS_FOR_A_MUTANT))), None)
    assert found is not None, f"{mutant.__doc__} Nobody noticed."
    with capsys.disabled():
        print(f"\n{mutant.__name__}: {found}", end=" ")


def test_a_seed_is_replayed_message_for_message() -> None:
    first, second = World(7, is_traced=True), World(7, is_traced=True)
    first.run()
    second.run()
    assert first.events == second.events
    assert len(first.events) > 20


def _run(seed: int) -> tuple[int, int, int]:
    world = World(seed)
    try:
        world.run()
    except AssertionError as error:
        pytest.fail(f"{error}\nreplay: python -m tests.simulation --seed {seed}")
    return world.admitted, world.refused, world.unavailable


def _violation(seed: int) -> str | None:
    try:
        World(seed).run()
    except AssertionError as error:
        return f"seed {seed}: {error}"
    return None
