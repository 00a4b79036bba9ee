"""Two control planes on one database, one of them killed: sidecars come back and miss nothing."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from spendra.snapshot import to_text
from spendra_sidecar import config as settings
from spendra_sidecar.metrics import Metrics
from spendra_sidecar.snapshots.receiver import Receiver
from tests.control_plane.running import ControlPlane, Organization, start_control_plane
from tests.faults.wire import Wire
from tests.servers import free_port

WITHIN_S = 20.0


@pytest.fixture
def second(control_plane: ControlPlane, tmp_path: Path) -> Iterator[ControlPlane]:
    """On the same database as the first; the test may kill it."""
    environ = {**control_plane.environ, "SPENDRA_CONTROL_PLANE_PORT": str(free_port())}
    started = start_control_plane(environ, tmp_path / "log")
    yield started
    if started.process.poll() is None:
        started.stop()


@asynccontextmanager
async def following(org: Organization, port: int, place: Path) -> AsyncIterator[Receiver]:
    """A sidecar's receiver of snapshots, which asks at this port."""
    receiver = Receiver(
        settings.load(
            {
                "SPENDRA_SIDECAR_TOKEN": org.sidecar_token,
                "SPENDRA_SIDECAR_ID": place.name,
                "SPENDRA_CONTROL_PLANE_URL": f"http://127.0.0.1:{port}",
                "SPENDRA_SNAPSHOT_PUBLIC_KEY": to_text(org.public_key),
                "SPENDRA_DATABASE_URL": "postgresql://127.0.0.1:9/none",
                "SPENDRA_REDIS_URL": "redis://127.0.0.1:9",
                "SPENDRA_STATE_DIR": str(place),
            }
        ),
        Metrics(),
    )
    task = asyncio.create_task(receiver.run())
    try:
        yield receiver
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await receiver.close()


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(WITHIN_S):
        while not holds():  # noqa: ASYNC110 - what is waited for is another process's doing
            await asyncio.sleep(0.02)


async def test_a_change_at_either_reaches_the_sidecars_of_both_and_a_kill_loses_none(
    org: Organization, control_plane: ControlPlane, second: ControlPlane, tmp_path: Path
) -> None:
    first_port = int(control_plane.environ["SPENDRA_CONTROL_PLANE_PORT"])
    second_port = int(second.environ["SPENDRA_CONTROL_PLANE_PORT"])
    headers = {"authorization": f"Bearer {org.admin_token}"}
    async with AsyncExitStack() as opened:
        apis = [
            await opened.enter_async_context(
                httpx.AsyncClient(base_url=plane.url, headers=headers, timeout=20)
            )
            for plane in (control_plane, second)
        ]
        balancer = await opened.enter_async_context(Wire(second_port))
        receivers = [
            await opened.enter_async_context(following(org, port, tmp_path / name))
            for name, port in (("s1", first_port), ("s2", balancer.port))
        ]

        async def make(number: int) -> dict[str, Any]:
            api = apis[number % 2]
            while True:
                try:
                    answer = await api.post("/v1/keys", json={"name": f"key {number}"})
                except httpx.TransportError:
                    api = apis[0]
                    continue
                assert answer.status_code == 201, answer.text
                return dict(answer.json())

        def all_know(keys: list[dict[str, Any]]) -> bool:
            return all(
                one.live is not None
                and all(
                    not isinstance(one.live.keys.authenticate(key["key"], 0), str) for key in keys
                )
                for one in receivers
            )

        made = [await make(number) for number in range(4)]
        await until(lambda: all_know(made))
        making = asyncio.create_task(_one_by_one(make, range(4, 24)))
        await asyncio.sleep(0.15)
        second.process.kill()
        second.process.wait()
        balancer.target_port = first_port
        balancer.cut()
        made += await making
        revoked = made.pop()
        await apis[0].post(f"/v1/keys/{revoked['id']}/revoke")
        await until(lambda: all_know(made))
        newest = org.get("/v1/sidecars")["items"][0]["current_version"]
        await until(lambda: {one.live.version for one in receivers if one.live} == {newest})
        await until(lambda: not all_know([revoked]))


async def _one_by_one(make: Callable[[int], Any], numbers: range) -> list[dict[str, Any]]:
    return [await make(number) for number in numbers]
