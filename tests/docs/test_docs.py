"""What users read is complete, and its links lead somewhere."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from spendra.providers import COMPATIBLE, PROVIDERS
from spendra_control_plane.api.metrics import Metrics as ControlPlaneMetrics
from spendra_control_plane.notices.events import EVENTS
from spendra_control_plane.worker.metrics import Metrics as WorkerMetrics
from spendra_sidecar.metrics import Metrics as SidecarMetrics
from spendra_sidecar.serving.refusals import KINDS
from tests.system.test_scopes import CASES

ROOT = Path(__file__).parents[2]
PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "CHANGELOG.md",
    *ROOT.glob("docs/*.md"),
]
LINK = re.compile(r"\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
FENCED = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
SETTING = re.compile(r"\bSPENDRA_[A-Z0-9_]+\b(?<!_)")
HEADER = re.compile(r"\bx-spendra-[a-z]+(?:-[a-z]+)*\b", re.IGNORECASE)
ANOTHER_MACHINE = re.compile(r"(?<![\w.:])/(?:work|home|root|Users|tmp|mnt)/\S+")


def page(name: str) -> str:
    return (ROOT / "docs" / name).read_text("utf-8")


def sources(*rooms: str) -> Iterator[str]:
    for room in rooms:
        for path in sorted((ROOT / room).rglob("*.py")):
            yield path.read_text("utf-8")


def found(pattern: re.Pattern[str], *rooms: str) -> set[str]:
    return {match.lower() for text in sources(*rooms) for match in pattern.findall(text)}


def anchors(text: str) -> set[str]:
    """As GitHub makes them from headings."""
    plain = (re.sub(r"[^\w\- ]", "", heading.lower()) for heading in HEADING.findall(text))
    return {heading.strip().replace(" ", "-") for heading in plain}


def samples() -> set[str]:
    """Every series that a process can show, without the parts of histograms."""
    control_plane = ControlPlaneMetrics()._registry  # noqa: SLF001
    registries = (SidecarMetrics().registry, control_plane, WorkerMetrics().registry)
    families = (family for registry in registries for family in registry.collect())
    return {f.name + "_total" if f.type == "counter" else f.name for f in families}


@pytest.mark.parametrize("code", sorted(KINDS))
def test_each_refusal_has_a_row_with_its_status_and_finality(code: str) -> None:
    kind = KINDS[code]
    assert f"| `{code}` | {kind.status} | {'yes' if kind.final else 'no'} |" in page("refusals.md")


def test_each_row_of_the_refusals_is_a_refusal() -> None:
    assert set(re.findall(r"^\| `(\w+)` \|", page("refusals.md"), re.MULTILINE)) == set(KINDS)


def test_the_metrics_are_those_that_exist() -> None:
    assert set(re.findall(r"^\| `(\w+)` \|", page("metrics.md"), re.MULTILINE)) == samples()


def test_each_kind_of_scope_has_a_row_and_a_case() -> None:
    _, _, section = page("policies.md").partition("### What is shown of each\n")
    table = section.partition("\n#")[0]
    assert set(re.findall(r"^\| `([^`]+)` \|", table, re.MULTILINE)) == set(CASES)


def test_the_settings_are_those_that_the_code_reads() -> None:
    read = found(SETTING, "python/spendra", "sidecar", "control_plane")
    assert {name.lower() for name in SETTING.findall(page("configuration.md"))} == read


def test_each_provider_has_a_row_with_its_credentials() -> None:
    rows = (ROOT / "docs" / "configuration.md").read_text("utf-8").splitlines()
    for provider in {provider.name: provider for provider in PROVIDERS.values()}.values():
        named = [f"`{word}`" for word in (provider.name, *provider.credentials)]
        listed = any(all(word in row for word in named) for row in rows)
        assert listed or provider.name == COMPATIBLE, named


def test_the_events_are_those_that_exist() -> None:
    rows = re.findall(r"^\| `(\w+\.\w+)` \| (.+) \|$", page("alerts.md"), re.MULTILINE)
    assert dict(rows) == EVENTS


def test_each_header_is_described() -> None:
    described = {name.lower() for name in HEADER.findall(page("headers.md"))}
    assert described == found(HEADER, "sidecar")


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_links_lead_somewhere(path: Path) -> None:
    for link in LINK.findall(FENCED.sub("", path.read_text("utf-8"))):
        if "://" in link:
            continue
        target, _, anchor = link.partition("#")
        there = (path.parent / target).resolve() if target else path
        assert there.exists(), link
        assert not anchor or anchor in anchors(there.read_text("utf-8")), link


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_no_page_names_a_path_of_another_machine(path: Path) -> None:
    assert not ANOTHER_MACHINE.findall(path.read_text("utf-8"))
