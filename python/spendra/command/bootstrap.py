"""The first organization, its provider, budget and key, through the control plane's own API.

Every step is saved as soon as it is answered, so that a start that is broken off, and every later
start, goes on where the last one ended.
"""

from collections.abc import Sequence
from http import HTTPStatus
from typing import Any, Final

import httpx

from spendra.arguments import EX_UNAVAILABLE, CommandError
from spendra.command.data_dir import DataDir, Organization
from spendra.command.options import Upstream

_BUDGET: Final = {
    "name": "default",
    "scope": {},
    "period": "month",
    "limit_usd": "100",
    "kind": "hard",
}
_KEY: Final = {"name": "first", "scope": {"project": "default"}}
_UNKNOWN: Final = (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND)


class Bootstrap:
    """Of one database, which `place` names in the data directory's memory."""

    def __init__(self, api: httpx.AsyncClient, data: DataDir, *, place: str, token: str) -> None:
        self._api, self._data = api, data
        self._place, self._token = place, token

    async def run(self, upstreams: Sequence[Upstream]) -> Organization:
        """CommandError when the control plane refuses a step."""
        organization = await self._organization()
        await self._route(organization, upstreams)
        if organization.budget_id is None:
            made = await self._post(organization.admin_token, "/v1/budgets", _BUDGET)
            organization.budget_id = made["id"]
            self._data.save()
        if organization.api_key is None:
            made = await self._post(organization.admin_token, "/v1/keys", _KEY)
            organization.api_key = made["key"]
            self._data.save()
        return organization

    async def _organization(self) -> Organization:
        known = self._data.secrets.organizations.get(self._place)
        if known and await self._still_there(known):
            return known
        made = await self._post(self._token, "/v1/organizations", {"name": "default"})
        organization = Organization(
            org_id=made["id"],
            admin_token=made["admin_token"],
            sidecar_token=made["sidecar_token"],
            snapshot_public_key=made["snapshot_public_key"],
        )
        self._data.secrets.organizations[self._place] = organization
        self._data.save()
        return organization

    async def _still_there(self, known: Organization) -> bool:
        """Not so when the database was made anew since."""
        answer = await self._api.get("/v1/sidecars", headers=_bearer(known.admin_token))
        return answer.status_code not in _UNKNOWN

    async def _route(self, organization: Organization, upstreams: Sequence[Upstream]) -> None:
        """Routes of an earlier start would answer for models that this one sends elsewhere."""
        wanted = [upstream.provider for upstream in upstreams]
        for provider in set(organization.providers).difference(wanted):
            address = f"/v1/providers/{provider}"
            await self._api.delete(address, headers=_bearer(organization.admin_token))
        for upstream in upstreams:
            await self._put_provider(organization, upstream)
        organization.providers = wanted
        self._data.save()

    async def _put_provider(self, organization: Organization, upstream: Upstream) -> None:
        answer = await self._api.put(
            f"/v1/providers/{upstream.provider}",
            json={
                "base_url": upstream.base_url,
                "credential": upstream.credential,
                "parameters": upstream.parameters,
            },
            headers=_bearer(organization.admin_token),
        )
        _accepted(answer)

    async def _post(self, token: str, path: str, body: dict[str, Any]) -> dict[str, Any]:
        answer = await self._api.post(path, json=body, headers=_bearer(token))
        return _accepted(answer)


def _bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


def _accepted(answer: httpx.Response) -> dict[str, Any]:
    if answer.is_success:
        return dict(answer.json()) if answer.content else {}
    request = answer.request
    sentence = (
        f"the control plane refused {request.method} {request.url.path} "
        f"with {answer.status_code}: {answer.text[:500]}"
    )
    raise CommandError(EX_UNAVAILABLE, sentence)
