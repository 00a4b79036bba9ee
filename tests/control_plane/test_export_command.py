"""`spendra export`: files in folders and buckets, from a running control plane."""

import os
import subprocess
import sys
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import boto3
import pytest
from pyarrow import fs, parquet

from tests.control_plane.books import Books
from tests.control_plane.running import Organization
from tests.servers import free_port, wait_for_port

SPAN = ("--from", "2020-01-01", "--to", "2999-01-01")
KEYS = {
    "AWS_ACCESS_KEY_ID": "key",
    "AWS_SECRET_ACCESS_KEY": "secret",
    "AWS_REGION": "eu-central-1",
}


def export(
    org: Organization, *words: str, env: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    settings = {"SPENDRA_CONTROL_PLANE_URL": org.url, "SPENDRA_TOKEN": org.admin_token}
    return subprocess.run(
        [sys.executable, "-m", "spendra.command", "export", *words],
        env={**os.environ, **settings, **(env or {})},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def files_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture
async def spent(books: Books, org: Organization, budget: str) -> Organization:
    account = await books.open_account(budget)
    books.facts = {**books.facts, "project": ["007"], "label:note": ['a, "b"\nc']}
    for nanousd in (1, 250_000_000):
        await books.spend(nanousd, account)
    return org


@pytest.fixture(scope="module")
def bucket() -> Iterator[str]:
    """The address of an S3-compatible store with the bucket `reports`."""
    port = free_port()
    command = [sys.executable, "-m", "moto.server", "-p", str(port), "-H", "127.0.0.1"]
    quiet = subprocess.DEVNULL
    process = subprocess.Popen(command, stdout=quiet, stderr=quiet)
    wait_for_port(port)
    url = f"http://127.0.0.1:{port}"
    client: Any = boto3.client(
        "s3",
        endpoint_url=url,
        region_name=KEYS["AWS_REGION"],
        aws_access_key_id=KEYS["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=KEYS["AWS_SECRET_ACCESS_KEY"],
    )
    where = {"LocationConstraint": KEYS["AWS_REGION"]}
    client.create_bucket(Bucket="reports", CreateBucketConfiguration=where)
    client.close()
    yield url
    process.terminate()
    process.wait(20)


async def test_a_csv_is_what_the_api_streams(spent: Organization, tmp_path: Path) -> None:
    made = export(spent, "finance", str(tmp_path), *SPAN)
    assert made.returncode == 0, made.stderr
    path = tmp_path / "spendra-finance-2020-01-01-2999-01-01.csv"
    assert made.stdout == f"{path}\n"
    api = spent.api.get("/v1/exports/finance.csv?from=2020-01-01&to=2999-01-01")
    assert path.read_bytes() == api.content
    assert files_in(tmp_path) == [path.name]


async def test_parquet_has_types_and_loses_nothing(spent: Organization, tmp_path: Path) -> None:
    made = export(spent, "finance", str(tmp_path), *SPAN, "--format", "parquet")
    assert made.returncode == 0, made.stderr
    rows = parquet.read_table(made.stdout.strip()).to_pylist()
    assert [row["cost_usd"] for row in rows] == [Decimal("0.000000001"), Decimal("0.250000000")]
    assert {row["project"] for row in rows} == {"007"}
    assert {row["labels"] for row in rows} == {'{"note":"a, \\"b\\"\\nc"}'}
    assert all(row["reserved_at"].tzinfo is not None for row in rows)
    assert [row["input_tokens"] for row in rows] == [100, 100]
    focus = export(spent, "focus", str(tmp_path), *SPAN, "--format", "parquet")
    table = parquet.read_table(focus.stdout.strip())
    assert sum(table.column("BilledCost").to_pylist()) == Decimal("0.250000001")
    prices = table.column("ListUnitPrice").to_pylist()
    assert prices[1] == Decimal("0.001666666666666667")


async def test_nothing_is_a_file_with_no_rows(org: Organization, tmp_path: Path) -> None:
    made = export(org, "finance", str(tmp_path), *SPAN, "--format", "parquet")
    assert made.returncode == 0, made.stderr
    assert parquet.read_table(made.stdout.strip()).num_rows == 0


async def test_a_bucket_has_it_whole(spent: Organization, bucket: str) -> None:
    env = {**KEYS, "AWS_ENDPOINT_URL": bucket}
    words = ("finance", "s3://reports/spendra/2026", *SPAN, "--format", "parquet")
    made = export(spent, *words, env=env)
    assert made.returncode == 0, made.stderr
    assert made.stdout.startswith("s3://reports/spendra/2026/spendra-finance-2020")
    store = fs.S3FileSystem(
        access_key="key",
        secret_key="secret",
        region=KEYS["AWS_REGION"],
        scheme="http",
        endpoint_override=bucket.removeprefix("http://"),
    )
    key = made.stdout.strip().removeprefix("s3://")
    assert parquet.read_table(key, filesystem=store).num_rows == 2
    away = export(spent, "finance", "s3://nowhere/x", *SPAN, env=env)
    assert (away.returncode, away.stdout) == (69, "")
    assert "does not take the file" in away.stderr


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (("finance", "/nowhere/at/all", *SPAN), 64, "is no folder"),
        (("finance", ".", "--from", "yesterday", "--to", "2999-01-01"), 1, "is not a moment"),
        (("sales", ".", *SPAN), 64, "invalid choice"),
    ],
)
async def test_a_wrong_line_says_what_to_do(
    org: Organization, words: tuple[str, ...], code: int, says: str
) -> None:
    made = export(org, *words)
    assert made.returncode == code, made.stderr
    assert says in made.stderr
