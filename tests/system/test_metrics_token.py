"""`/metrics` of each process, where a token is asked for."""

import httpx

from tests.system.conftest import running

TOKEN = "scraped-by-us-only"


def test_each_process_asks_for_the_token(provider: str) -> None:
    with running(provider, env={"SPENDRA_METRICS_TOKEN": TOKEN}) as system:
        for name in ("sidecar_url", "control_plane_url", "worker_url"):
            url = f"{system.up[name]}/metrics"
            for headers in ({}, {"authorization": "Bearer another"}):
                assert httpx.get(url, headers=headers).status_code == 401, url
            answer = httpx.get(url, headers={"authorization": f"Bearer {TOKEN}"})
            assert httpx.get(f"{system.up[name]}/healthz").status_code == 200, url
            assert (answer.status_code, "spendra_" in answer.text) == (200, True), url
