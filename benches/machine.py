"""The machine: which core is whose, and what the kernel says of a process."""

import os
from dataclasses import dataclass
from pathlib import Path

_TICK_US = 1_000_000 // os.sysconf("SC_CLK_TCK")
_PAGE_KIB = os.sysconf("SC_PAGE_SIZE") // 1024


@dataclass(frozen=True)
class Cores:
    """One core for the gateway; the others for load, upstream and stores."""

    gateway: frozenset[int]
    rest: frozenset[int]


def cores() -> Cores:
    """The last core that we may use is the gateway's; a machine with one core has one for all."""
    mine = sorted(os.sched_getaffinity(0))
    return Cores(frozenset(mine[-1:]), frozenset(mine[:-1] or mine))


def tree(pid: int) -> list[int]:
    """A process and all its descendants, as far as they live."""
    pids = [pid]
    for listed in Path(f"/proc/{pid}/task").glob("*/children"):
        pids += [below for child in _read(listed).split() for below in tree(int(child))]
    return pids


def pin(pid: int, cpus: frozenset[int]) -> None:
    """Every thread of a process and of its descendants, to these cores."""
    for each in tree(pid):
        for task in Path(f"/proc/{each}/task").glob("*"):
            os.sched_setaffinity(int(task.name), cpus)


def cpu_us(pid: int) -> int:
    """User and system time of a process and its descendants, in microseconds."""
    return sum(_ticks(each) for each in tree(pid)) * _TICK_US


def rss_kib(pid: int) -> int:
    """Resident memory of a process and its descendants; shared pages count for each."""
    return sum(_pages(each) for each in tree(pid)) * _PAGE_KIB


def _ticks(pid: int) -> int:
    fields = _read(Path(f"/proc/{pid}/stat")).rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12]) if fields else 0


def _pages(pid: int) -> int:
    fields = _read(Path(f"/proc/{pid}/statm")).split()
    return int(fields[1]) if fields else 0


def _read(path: Path) -> str:
    """Empty when the process is gone."""
    try:
        return path.read_text()
    except OSError:
        return ""
