"""`/metrics` of each process, where a token is asked for."""

import tempfile
from pathlib import Path

import httpx

from tests.system.conftest import launch, stop

TOKEN = "scraped-by-us-only"


def test_each_process_asks_for_the_token(provider: str) -> None:
    with tempfile.TemporaryDirectory(prefix="spendra-metrics-") as directory:
        system = launch(Path(directory), provider, env={"SPENDRA_METRICS_TOKEN": TOKEN})
        for name in ("sidecar_url", "control_plane_url", "worker_url"):
            url = f"{system.up[name]}/metrics"
            for headers in ({}, {"authorization": "Bearer another"}):
                assert httpx.get(url, headers=headers).status_code == 401, url
            answer = httpx.get(url, headers={"authorization": f"Bearer {TOKEN}"})
            assert (answer.status_code, "spendra_" in answer.text) == (200, True), url
        assert httpx.get(f"{system.up['sidecar_url']}/healthz").status_code == 200
        assert stop(system) == 0
