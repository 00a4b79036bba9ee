"""Secrets are sealed at rest, and are in no answer and no log."""

import asyncio

import asyncpg

from tests.control_plane.running import BOOTSTRAP_TOKEN, ControlPlane, Organization

CREDENTIAL = "sk-this-is-the-providers-secret"


def _use_everything(org: Organization) -> tuple[list[str], str]:
    """The secrets that were made, and every answer after the one that shows each."""
    body = {"base_url": "https://api.openai.com", "credential": CREDENTIAL}
    answers = [org.ask("PUT", "/v1/providers/openai", body)]
    key = org.post("/v1/keys", {"name": "k", "scope": {"project": "p"}})
    rotated = org.post(f"/v1/keys/{key['id']}/rotate", status=200)
    wrong = {**body, "credential": [CREDENTIAL]}
    answers.append(org.ask("PUT", "/v1/providers/openai", wrong, 422))
    paths = ("keys", f"keys/{key['id']}", "providers", "projects", "settings", "sidecars")
    answers += [org.get(f"/v1/{path}") for path in paths]
    secrets = [CREDENTIAL, key["key"], rotated["key"], org.admin_token, org.sidecar_token]
    return [*secrets, org.snapshot().secrets.key_pepper, BOOTSTRAP_TOKEN], repr(answers)


def test_no_answer_and_no_log_holds_a_secret(
    control_plane: ControlPlane, org: Organization
) -> None:
    secrets, answers = _use_everything(org)
    log = control_plane.log.read_text()
    assert [one for one in secrets if one in answers or one in log] == []


def test_nothing_at_rest_holds_a_secret(control_plane: ControlPlane, org: Organization) -> None:
    secrets, _ = _use_everything(org)
    pepper = bytes.fromhex(org.snapshot().secrets.key_pepper)
    stored = asyncio.run(_everything_stored(control_plane.environ["SPENDRA_DATABASE_URL"]))
    assert [one for one in secrets if one.encode() in stored] == []
    assert pepper not in stored
    assert org.id.encode() in stored


async def _everything_stored(database_url: str) -> bytes:
    """Every row of the schema as Postgres writes it, with its binary columns decoded."""
    connection = await asyncpg.connect(database_url)
    tables = await connection.fetch(
        "SELECT table_name FROM information_schema.tables WHERE table_schema = 'spendra'"
    )
    rows: list[object] = []
    for table in tables:
        rows += await connection.fetch(f'SELECT * FROM spendra."{table["table_name"]}"')  # noqa: S608
    await connection.close()
    values = (value for row in rows for value in row.values())  # type: ignore[attr-defined]
    return b"\n".join(one if isinstance(one, bytes) else str(one).encode() for one in values)
