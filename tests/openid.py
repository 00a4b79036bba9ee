"""An OpenID provider as a process, and somebody who types into its form."""

import json
import subprocess
import sys
from typing import Any

import httpx

from tests.servers import free_port, wait_for_port

THIN = """
from oidc_provider_mock import __main__, _app
_app.OpenIDCode.generate_user_info = lambda self, user, scope: {"sub": user.sub}
__main__.run()
"""


class OpenIdProvider:
    """Any client may use it; it knows the people that it was given, by their claims.

    `thin`: its tokens name the subject alone; the rest is asked at its UserInfo endpoint.
    """

    def __init__(self, *people: dict[str, Any], thin: bool = False) -> None:
        port = free_port()
        self.issuer = f"http://127.0.0.1:{port}"
        known = [word for one in people for word in ("--user-claims", json.dumps(one))]
        program = ["-c", THIN] if thin else ["-m", "oidc_provider_mock"]
        command = [sys.executable, *program, "--port", str(port), *known]
        quiet = subprocess.DEVNULL
        self._process = subprocess.Popen(command, stdout=quiet, stderr=quiet)
        wait_for_port(port)

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait(timeout=20)

    def sign_in(self, subject: str, asked: str) -> str:
        """Where the provider sends a person who follows `asked` and signs in."""
        answer = httpx.post(asked, data={"sub": subject}, follow_redirects=False, timeout=20)
        assert answer.status_code in {302, 303}, answer.text
        return answer.headers["location"]
