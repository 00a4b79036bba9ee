"""Prices of the customer's own: written once, ended, and in the snapshot before the catalog."""

import json
from pathlib import Path
from typing import Any

import pytest

from spendra._hot import PriceBook, Usage
from tests.control_plane.running import (
    CATALOG,
    ControlPlane,
    Organization,
    serve_once,
    start_control_plane,
)
from tests.servers import free_port

FLAT = {
    "name": "contract",
    "provider": "OpenAI",
    "model": "gpt-5-mini*",
    "rates": {"input_mtok": "1", "output_mtok": "2"},
}
SHARE = {"name": "rebate", "provider": "openai", "model": "*", "multiplier": "0.5"}
STEPPED = {"base": "1", "steps": [{"above_input_tokens": 1000, "price": "3"}]}
LATER = "2999-01-01T00:00:00Z"


def cost(org: Organization, model: str = "gpt-5-mini", at_ms: int = 2**42, **counts: int) -> Any:
    book = PriceBook.load(org.snapshot().segments["prices"])
    return book.cost("openai", model, Usage(**counts), service_tier=None, at_ms=at_ms)


def test_an_own_price_goes_before_the_catalog(org: Organization) -> None:
    assert cost(org, input_tokens=1_000_000).nanousd == 4_000_000_000
    made = org.post("/v1/prices", FLAT)
    assert (made["provider"], made["ends_at"]) == ("openai", None)
    found = cost(org, input_tokens=1_000_000, output_tokens=1_000_000)
    assert (found.nanousd, found.layer) == (3_000_000_000, "customer_price")
    assert found.price_version.endswith(f":customer_price:{made['id']}")
    assert org.get(f"/v1/prices/{made['id']}") == made
    assert org.get("/v1/prices")["items"] == [made]


def test_the_newest_of_two_counts_and_what_ended_counts_for_its_time(org: Organization) -> None:
    old = org.post("/v1/prices", {**FLAT, "starts_at": "2026-01-01T00:00:00Z"})
    new = {"input_mtok": "7", "output_mtok": "7"}
    org.post("/v1/prices", {**FLAT, "rates": new, "starts_at": "2026-06-01T00:00:00Z"})
    assert cost(org, input_tokens=1_000_000).nanousd == 7_000_000_000
    in_march = 1_772_323_200_000
    assert cost(org, at_ms=in_march, input_tokens=1_000_000).nanousd == 1_000_000_000
    ended = org.ask("POST", f"/v1/prices/{old['id']}/end", {"at": "2026-02-01T00:00:00Z"})
    assert ended["ends_at"].startswith("2026-02-01")
    assert cost(org, at_ms=in_march, input_tokens=1_000_000).nanousd == 4_000_000_000
    assert "has an end already" in org.ask("POST", f"/v1/prices/{old['id']}/end", {}, 409)["detail"]


def test_a_share_is_of_the_catalogs_price(org: Organization) -> None:
    org.post("/v1/prices", SHARE)
    found = cost(org, input_tokens=1_000_000)
    assert (found.nanousd, found.layer) == (2_000_000_000, "customer_multiplier")


def test_a_longer_input_may_cost_more(org: Organization) -> None:
    rates = {"input_mtok": STEPPED, "output_mtok": "0"}
    made = org.post("/v1/prices", {**FLAT, "rates": rates})
    assert made["rates"] == rates
    assert cost(org, input_tokens=1_000).nanousd == 1_000_000
    assert cost(org, input_tokens=1_001).nanousd == 3_003_000


def test_what_something_costs_can_be_asked(org: Organization) -> None:
    question = {"provider": "openai", "model": "gpt-5-mini", "usage": {"input_tokens": 1000}}
    assert org.ask("POST", "/v1/prices/quote", question)["cost_usd"] == "0.004"
    org.post("/v1/prices", {**FLAT, "starts_at": "2026-06-01T00:00:00Z"})
    found = org.ask("POST", "/v1/prices/quote", question)
    assert (found["cost_nanousd"], found["layer"]) == (1_000_000, "customer_price")
    earlier = {**question, "at": "2026-05-01T00:00:00Z"}
    assert org.ask("POST", "/v1/prices/quote", earlier)["layer"] == "catalog"
    nobody = {**question, "model": "nobody"}
    assert "no price of 'nobody'" in org.ask("POST", "/v1/prices/quote", nobody, 422)["detail"]


def test_those_that_hold_at_a_moment_are_listed(org: Organization) -> None:
    org.post("/v1/prices", {**FLAT, "starts_at": LATER})
    now = org.post("/v1/prices", SHARE)
    assert org.get("/v1/prices?at=2998-01-01")["items"] == [now]
    assert len(org.get("/v1/prices")["items"]) == 2


def test_a_price_is_audited_and_bites_at_once(org: Organization) -> None:
    made = org.post("/v1/prices", FLAT)
    found = org.get("/v1/audit?limit=1")["items"][0]
    assert (found["what"], found["subject"], found["action"]) == ("prices", made["id"], "insert")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"rates": None}, "give either 'rates' or 'multiplier'"),
        ({"multiplier": "0.9"}, "give either 'rates' or 'multiplier'"),
        ({"rates": {"input_mtok": "1"}}, "'rates' lack output_mtok"),
        ({"rates": {}}, "'rates' lack"),
        ({"rates": {"input_mtoks": "1", "output_mtok": "1"}}, "did you mean 'input_mtok'?"),
        ({"rates": {"input_mtok": "-1", "output_mtok": "1"}}, "rates"),
        ({"rates": {"input_mtok": "1.0000001", "output_mtok": "1"}}, "1.0000001"),
        ({"rates": None, "multiplier": "0.0"}, "a share of nothing"),
        ({"ends_at": "2020-01-01T00:00:00Z", "starts_at": "2021-01-01T00:00:00Z"}, "after"),
        ({"modl": "x"}, "did you mean 'model'?"),
    ],
)
def test_a_wrong_price_is_named(org: Organization, change: dict[str, Any], message: str) -> None:
    assert message in org.post("/v1/prices", {**FLAT, **change}, 422)["detail"]


def another(control_plane: ControlPlane, catalog: Path) -> dict[str, str]:
    """Settings of a second control plane over the same stores."""
    port = {"SPENDRA_CONTROL_PLANE_PORT": str(free_port())}
    return control_plane.environ | port | {"SPENDRA_CATALOG": str(catalog)}


def test_a_catalog_of_the_operators_is_published_at_the_next_start(
    control_plane: ControlPlane, org: Organization, tmp_path: Path
) -> None:
    org.post("/v1/prices", {**SHARE, "model": "gpt-4*"})
    before = org.snapshot()
    path = tmp_path / "catalog.json"
    path.write_text(CATALOG.read_text("utf-8").replace("stand-in", "of-the-operator"))
    for _ in range(2):
        plane = start_control_plane(another(control_plane, path), tmp_path / "log")
        assert plane.stop() == 0
    after = org.snapshot()
    # Once: the second start finds it published.
    assert after.manifest.version == before.manifest.version + 1
    book = PriceBook.load(after.segments["prices"])
    assert book.version == "of-the-operator"
    found = book.cost("openai", "gpt-4o", Usage(), service_tier=None, at_ms=2**42)
    assert found is None
    assert len(json.loads(after.segments["prices"])["multipliers"]) == 1


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "cannot be read: No such file or directory."),
        ("{}", "is no price catalog: the prices segment"),
        ('{"version": "x", "providers": []}', "holds no models."),
    ],
)
def test_a_wrong_catalog_is_refused_at_the_start(
    control_plane: ControlPlane, tmp_path: Path, content: str | None, message: str
) -> None:
    path = tmp_path / "catalog.json"
    if content is not None:
        path.write_text(content)
    ended = serve_once(another(control_plane, path))
    assert (ended.returncode, message in ended.stderr) == (64, True), ended.stderr
