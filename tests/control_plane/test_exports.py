"""The ledger as CSV: every cost once, in stable columns, whatever the size of its pages."""

import csv
import io
from decimal import Decimal
from unittest import mock

from spendra_control_plane.access.callers import Seen
from spendra_control_plane.reporting import exports
from spendra_control_plane.reporting.ledger import Part
from spendra_control_plane.stores.postgres import Pool
from tests.control_plane.books import Books
from tests.control_plane.running import Organization

ALL = Part(start=None, end=None, scope={})


def read(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text, newline="")))


def exported(org: Organization, query: str = "", columns: str = "finance") -> list[dict[str, str]]:
    answer = org.api.get(f"/v1/exports/{columns}.csv?{query}")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/csv; charset=utf-8")
    return read(answer.text)


async def test_each_cost_is_a_line_with_what_was_made_of_it(
    org: Organization, books: Books, budget: str
) -> None:
    account = await books.open_account(budget)
    books.facts = {"project": ["checkout"], "team": ["web"], "label:feature": ["search"]}
    decision = await books.spend(1_000, account)
    await books.spend(2_000, account)
    _, voided = await books.reserve(5, account)
    await books.settle(voided, "voided", 0)
    body = {"decision_id": str(decision), "cost_usd": "0.0000004", "reason": "dated price"}
    org.post("/v1/adjustments", body)
    credit = {"account_id": account, "amount_usd": "-0.0000001", "reason": "credit"}
    org.post("/v1/adjustments", {**credit, "cost_center": "ops", "provider": "openai"})
    first, second, third = exported(org)
    assert (first["decision_id"], first["cost_usd"], first["adjusted_usd"]) == (
        str(decision), "0.000001", "-0.0000006",
    )  # fmt: skip
    assert (first["cost_center"], first["team"], first["labels"]) == (
        "checkout", "web", '{"feature":"search"}',
    )  # fmt: skip
    assert (first["input_tokens"], first["output_tokens"]) == ("100", "50")
    assert (third["line_type"], third["cost_center"], third["total_usd"]) == (
        "adjustment", "ops", "-0.0000001",
    )  # fmt: skip
    settled = org.get(f"/v1/budgets/{budget}/spend")["settled_nanousd"]
    assert sum(Decimal(line["total_usd"]) for line in (first, second, third)) * 10**9 == settled
    assert len(exported(org, "scope=project=checkout")) == 2
    assert exported(org, "to=2020-01-01") == []


async def test_pages_change_nothing(
    org: Organization, books: Books, budget: str, pool: Pool
) -> None:
    account = await books.open_account(budget)
    for nanousd in range(1, 8):
        await books.spend(nanousd, account)
    credit = {"account_id": account, "reason": "credit", "cost_center": "ops"}
    for amount in ("1", "2", "3"):
        org.post("/v1/adjustments", {**credit, "amount_usd": amount, "provider": "openai"})
    lines = exports.rows(pool, Seen(org.id, None), ALL, exports.FINANCE)
    with mock.patch.object(exports, "PAGE", 2):
        pieces = [piece async for piece in lines]
    assert len(pieces) > 5
    assert read(b"".join(pieces).decode()) == exported(org)
    assert len(exported(org)) == 10


async def test_what_looks_like_a_formula_is_a_text(
    org: Organization, books: Books, budget: str
) -> None:
    books.facts = {"project": ['=HYPERLINK("x")'], "label:a": ['x,\r\n"y']}
    await books.spend(10, await books.open_account(budget))
    (line,) = exported(org)
    assert line["project"] == '\'=HYPERLINK("x")'
    assert line["labels"] == '{"a":"x,\\r\\n\\"y"}'


async def test_focus_has_its_words(org: Organization, books: Books, budget: str) -> None:
    await books.spend(1_000, await books.open_account(budget))
    (line,) = exported(org, columns="focus")
    assert (line["BilledCost"], line["BillingCurrency"], line["ChargeCategory"]) == (
        "0.000001", "USD", "Usage",
    )  # fmt: skip
    assert line["BillingPeriodStart"] < line["ChargePeriodStart"] < line["BillingPeriodEnd"]
    assert (line["ServiceCategory"], line["ConsumedQuantity"]) == ("AI and Machine Learning", "150")
    assert '"cost_center":"checkout"' in line["Tags"]


async def test_focus_is_as_its_rules_say(org: Organization, books: Books, budget: str) -> None:
    """Those of version 1.0 on columns, nulls, and prices by quantities."""
    account = await books.open_account(budget)
    decision = await books.spend(1_000, account)
    books.usage = (0, 0, 0, 0, 0)
    await books.spend(7, account)
    body = {"decision_id": str(decision), "cost_usd": "0.0000004", "reason": "dated price"}
    org.post("/v1/adjustments", body)
    credit = {"account_id": account, "amount_usd": "-0.0000001", "reason": "credit"}
    org.post("/v1/adjustments", {**credit, "cost_center": "ops", "provider": "openai"})
    tokens, call, credited = exported(org, columns="focus")
    assert list(tokens) == sorted(tokens)
    assert len(tokens) == 43
    for line in (tokens, call):
        for price, cost in (("List", "ListCost"), ("Contracted", "BilledCost")):
            told = Decimal(line[f"{price}UnitPrice"]) * Decimal(line["PricingQuantity"])
            assert round(told, 9) == Decimal(line[cost])
        for name in ("ConsumedUnit", "PricingUnit", "SkuId", "SkuPriceId", "ResourceType"):
            assert line[name], name
        assert line["ChargeFrequency"] == "Usage-Based"
    assert (tokens["ListCost"], tokens["BilledCost"]) == ("0.000001", "0.0000004")
    assert (tokens["PricingUnit"], tokens["PricingQuantity"]) == ("Tokens", "150")
    assert (call["PricingUnit"], call["PricingQuantity"]) == ("Requests", "1")
    assert (credited["ChargeCategory"], credited["ChargeFrequency"]) == ("Adjustment", "One-Time")
    for name in ("ConsumedQuantity", "PricingQuantity", "PricingUnit", "SkuId", "ListUnitPrice"):
        assert credited[name] == "", name


def test_columns_stay_where_they_are() -> None:
    """A release's columns are never renamed or moved."""
    assert list(exports.FINANCE)[:5] == [
        "line_type", "reserved_at", "settled_at", "cost_center", "team",
    ]  # fmt: skip
    assert len(exports.FINANCE) == 29


def test_another_format_is_none(org: Organization) -> None:
    assert org.api.get("/v1/exports/nothing.csv").status_code == 422
