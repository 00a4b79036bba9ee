"""`python -m tests.simulation --seeds 1000000`: many schedules, in as many processes as asked."""

import argparse
import sys
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor, as_completed

from tests.simulation.world import World

_CHUNK = 500


def explore(first: int, count: int) -> tuple[int, Counter[str], list[tuple[int, str]]]:
    """So many seeds from the first: how many ran, what they met, and which failed."""
    met: Counter[str] = Counter()
    failed = []
    for seed in range(first, first + count):
        world = World(seed)
        try:
            world.run()
        except AssertionError as error:
            failed.append((seed, str(error)))
        met.update(admitted=world.admitted, refused=world.refused, unavailable=world.unavailable)
    return count, met, failed


def replay(seed: int) -> int:
    world = World(seed, is_traced=True)
    try:
        world.run()
    except AssertionError as error:
        print(*world.events, f"FAILED {error}", sep="\n")
        return 1
    print(*world.events, "held", sep="\n")
    return 0


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seeds", type=int, default=10_000)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--seed", type=int, help="replay one schedule and print what happened")
    words = parser.parse_args()
    if words.seed is not None:
        return replay(words.seed)
    began, done, met, failed = time.monotonic(), 0, Counter[str](), []
    with ProcessPoolExecutor(words.processes) as pool:
        chunks = range(words.first, words.first + words.seeds, _CHUNK)
        for work in as_completed([pool.submit(explore, first, _CHUNK) for first in chunks]):
            count, found, broken = work.result()
            done, met = done + count, met + found
            failed += broken
            for seed, error in broken[:5]:
                print(f"seed {seed}: {error}", flush=True)
            if done % (_CHUNK * 100) == 0:
                print(f"{done} schedules, {len(failed)} failed, {dict(met)}", flush=True)
    seconds = time.monotonic() - began
    print(f"{done} schedules in {seconds:.0f} s: {len(failed)} failed; {dict(met)}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
