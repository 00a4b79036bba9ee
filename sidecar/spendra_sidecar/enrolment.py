"""A sidecar without a token gets one of its own, once, and keeps it in its state directory."""

import logging
import os
import time
from collections.abc import Mapping
from pathlib import Path

import httpx
import msgspec

from spendra_sidecar import config as settings

_log = logging.getLogger(__name__)
_WITHIN_S = 60.0
_AGAIN_S = 1.0
_TIMEOUT_S = 5.0


class EnrolmentError(Exception):
    """No control plane gave a token; the message is one sentence."""


class Identity(msgspec.Struct, frozen=True):
    """As a control plane answers, and as the file keeps it."""

    sidecar_id: str
    token: str
    snapshot_public_key: str


def enrolled(env: Mapping[str, str], within_s: float = _WITHIN_S) -> Mapping[str, str]:
    """The settings, with the token that was got. Raises EnrolmentError or settings.ConfigError."""
    secret = env.get("SPENDRA_ENROLMENT_TOKEN", "")
    if not secret or env.get("SPENDRA_SIDECAR_TOKEN"):
        return env
    sidecar_id = settings.sidecar_id(env)
    path = settings.state_dir(env) / "identity.json"
    identity = _kept(path, sidecar_id)
    if identity is None:
        identity = _asked(settings.control_plane_url(env), secret, sidecar_id, within_s)
        _keep(path, identity)
        _log.info("enrolled as %s", sidecar_id)
    known = {"SPENDRA_SNAPSHOT_PUBLIC_KEY": identity.snapshot_public_key}
    return known | dict(env) | {"SPENDRA_SIDECAR_TOKEN": identity.token}


def _kept(path: Path, sidecar_id: str) -> Identity | None:
    """None: it was never enrolled, or under another name."""
    try:
        found = msgspec.json.decode(path.read_bytes(), type=Identity)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.DecodeError) as error:
        msg = f"{path} cannot be read ({error}); remove it to enrol again."
        raise EnrolmentError(msg) from None
    return found if found.sidecar_id == sidecar_id else None


def _keep(path: Path, identity: Identity) -> None:
    """Readable by nobody else, and whole or not there."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(".partial")
        partial.unlink(missing_ok=True)
        partial.touch(mode=0o600, exist_ok=False)
        with partial.open("wb") as file:
            file.write(msgspec.json.encode(identity))
            os.fsync(file.fileno())
        partial.replace(path)
    except OSError as error:
        msg = f"{path} cannot be written: {error}."
        raise EnrolmentError(msg) from None


def _asked(url: str, secret: str, sidecar_id: str, within_s: float) -> Identity:
    """Asked again while no control plane answers."""
    give_up, said = time.monotonic() + within_s, ""
    headers = {"authorization": f"Bearer {secret}"}
    while True:
        try:
            answer = httpx.post(
                f"{url}/sidecar/v1/enrolments",
                json={"sidecar_id": sidecar_id},
                headers=headers,
                timeout=_TIMEOUT_S,
            )
            if answer.is_success:
                return msgspec.json.decode(answer.content, type=Identity)
            said = f"the control plane at {url} answered {answer.status_code}"
            if answer.is_client_error and answer.status_code != httpx.codes.TOO_MANY_REQUESTS:
                msg = f"SPENDRA_ENROLMENT_TOKEN is not taken: {said}."
                raise settings.ConfigError(msg)
        except (httpx.TransportError, msgspec.DecodeError) as error:
            said = f"the control plane at {url} does not answer: {error}"
        if time.monotonic() > give_up:
            msg = f"This sidecar could not enrol: {said}."
            raise EnrolmentError(msg)
        time.sleep(_AGAIN_S)
