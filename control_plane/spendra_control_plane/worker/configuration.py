"""Settings of a worker, read once. Documented in docs/configuration.md."""

import os
from collections.abc import Mapping
from datetime import timedelta

import msgspec

from spendra_control_plane.configuration import read_master_key
from spendra_control_plane.notices.mail import Mailer, read_mailer
from spendra_control_plane.worker.notifying import Patience
from spendra_control_plane.worker.retirement import Keeping
from spendra_control_plane.worker.rolling import LABEL_VALUES


class Config(msgspec.Struct, frozen=True):
    """`port` is that of `/metrics`, 0 for none; without `master_key` no notices are sent."""

    database_url: str
    redis_url: str
    lost_after_s: int
    audit_every_s: int
    host: str
    port: int
    master_key: bytes | None
    mailer: Mailer | None
    patience: Patience
    job_lease: timedelta
    metrics_token: str
    keeping: Keeping
    label_values: int


def load(env: Mapping[str, str] = os.environ) -> Config:
    """Raises ValueError with one sentence for a setting that is missing or wrong."""
    for name in ("SPENDRA_DATABASE_URL", "SPENDRA_REDIS_URL"):
        if not env.get(name):
            msg = f"{name} is not set; see docs/configuration.md"
            raise ValueError(msg)
    return Config(
        database_url=env["SPENDRA_DATABASE_URL"],
        redis_url=env["SPENDRA_REDIS_URL"],
        lost_after_s=_whole(env, "SPENDRA_LOST_AFTER_S", 3600),
        audit_every_s=_whole(env, "SPENDRA_AUDIT_EVERY_S", 300),
        host=env.get("SPENDRA_WORKER_HOST") or "127.0.0.1",
        port=_whole(env, "SPENDRA_WORKER_PORT", 0),
        master_key=read_master_key(env),
        mailer=_mailer(env),
        patience=Patience(
            _whole(env, "SPENDRA_NOTICE_ATTEMPTS", 8, least=1),
            timedelta(seconds=_whole(env, "SPENDRA_NOTICE_RETRY_S", 5, least=1)),
        ),
        job_lease=timedelta(seconds=_whole(env, "SPENDRA_JOB_LEASE_S", 30, least=1)),
        metrics_token=env.get("SPENDRA_METRICS_TOKEN", ""),
        keeping=Keeping(
            _months(env, "SPENDRA_KEEP_MONTHS", least=13),
            _months(env, "SPENDRA_KEEP_REFUSALS_MONTHS", least=1),
        ),
        label_values=_whole(env, "SPENDRA_LABEL_VALUES", LABEL_VALUES),
    )


def _months(env: Mapping[str, str], name: str, *, least: int) -> int | None:
    """None where nothing is said."""
    return _whole(env, name, least, least=least) if env.get(name) else None


def _mailer(env: Mapping[str, str]) -> Mailer | None:
    url = env.get("SPENDRA_SMTP_URL")
    return read_mailer(url, env.get("SPENDRA_MAIL_FROM", "")) if url else None


def _whole(env: Mapping[str, str], name: str, default: int, *, least: int = 0) -> int:
    written = env.get(name) or str(default)
    if not (written.isascii() and written.isdecimal() and int(written) >= least):
        above = f" of {least} or more" if least else ""
        msg = f"{name} must be a whole number{above}, not {written!r}"
        raise ValueError(msg)
    return int(written)
