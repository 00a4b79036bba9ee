"""What is running: told to programs in `.spendra/up.json`, and to the person on the screen."""

import os
import sys
from pathlib import Path
from typing import Final

import msgspec

from spendra.command.data_dir import write_private

UP_FILE: Final = Path(".spendra/up.json")


class Running(msgspec.Struct, kw_only=True):
    """`up.json`. `pids` maps each process's name to its pid, `up` among them."""

    sidecar_url: str
    sidecar_urls: list[str]
    control_plane_url: str
    worker_url: str
    api_key: str
    admin_token: str
    org_id: str
    budget_id: str
    database_url: str
    redis_url: str
    data_dir: str
    """Where the master key is, among others."""
    pids: dict[str, int]


def say(line: str) -> None:
    """One line for the person."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def publish(running: Running) -> None:
    UP_FILE.parent.mkdir(exist_ok=True)
    write_private(UP_FILE, msgspec.json.format(msgspec.json.encode(running)) + b"\n")


def forget() -> None:
    """Take away what an earlier start left behind."""
    UP_FILE.unlink(missing_ok=True)


def withdraw() -> None:
    """Take `up.json` away, if it is this process that it speaks of."""
    try:
        running = msgspec.json.decode(UP_FILE.read_bytes(), type=Running)
    except (OSError, msgspec.MsgspecError):
        return
    if running.pids.get("up") == os.getpid():
        UP_FILE.unlink(missing_ok=True)


def welcome(running: Running, *, provider: str, seconds: float) -> str:
    """Where everything is, and a first request that works when pasted."""
    url, key = running.sidecar_url, running.api_key
    others = "".join(f"\n                   {other}/v1" for other in running.sidecar_urls[1:])
    return f"""
Spendra is up ({seconds:.1f} s).

  OpenAI base URL  {url}/v1{others}
  control plane    {running.control_plane_url}
  provider         {provider}
  key              {key}

A first request:

curl {url}/v1/chat/completions \\
  -H 'Authorization: Bearer {key}' \\
  -H 'Content-Type: application/json' \\
  -d '{{"model": "gpt-4o-mini", "messages": [{{"role": "user", "content": "Say hello"}}]}}'

Or with OpenAI's SDK:

python3 - <<'PYTHON'
from openai import OpenAI
client = OpenAI(base_url="{url}/v1", api_key="{key}")
answer = client.chat.completions.create(
    model="gpt-4o-mini", messages=[{{"role": "user", "content": "Say hello"}}]
)
print(answer.choices[0].message.content)
PYTHON

Ctrl-C stops everything.
"""
