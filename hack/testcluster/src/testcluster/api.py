"""The few requests that starting a cluster takes, without a client library.

They go over one kept-alive TLS connection: hundreds of objects (fake nodes, volumes) take less time than
starting kubectl once.
"""

import http.client
import json
import ssl
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .errors import NotReadyError

Alive = Callable[[], None]
"""Raises when waiting any longer is pointless."""


class ApiClient:
    """The administrator's access to one API server."""

    def __init__(self, *, address: str, port: int, pki: Path, timeout_s: float = 10.0) -> None:
        context = ssl.create_default_context(cafile=str(pki / "ca.crt"))
        context.load_cert_chain(pki / "admin.crt", pki / "admin.key")
        self._connection = http.client.HTTPSConnection(address, port, timeout=timeout_s, context=context)

    def request(self, method: str, path: str, body: dict[str, Any] | None = None) -> tuple[int, bytes]:
        """Status and body of one exchange. Raises OSError when there is none."""
        data = json.dumps(body).encode() if body is not None else None
        try:
            self._connection.request(method, path, body=data, headers={"Content-Type": "application/json"})
            response = self._connection.getresponse()
            return response.status, response.read()
        except http.client.HTTPException as error:
            self._connection.close()
            raise ConnectionError(f"no answer to {method} {path}: {error!r}") from error
        except OSError:
            self._connection.close()
            raise

    def get(self, path: str) -> Any:  # noqa: ANN401 - a JSON document
        """The document at `path`, None when the server does not have it (yet) or does not answer."""
        try:
            status, body = self.request("GET", path)
        except OSError:
            return None
        return json.loads(body) if status == http.HTTPStatus.OK else None

    def create(self, path: str, document: dict[str, Any]) -> None:
        """Creates an object; one that exists is left as it is. Raises NotReadyError when refused."""
        status, body = self.request("POST", path, document)
        if status not in (http.HTTPStatus.CREATED, http.HTTPStatus.CONFLICT):
            raise NotReadyError(f"POST {path} was answered {status}: {body.decode(errors='replace')[:500]}")

    def is_ready(self) -> bool:
        """Whether /readyz says ok."""
        try:
            return self.request("GET", "/readyz")[0] == http.HTTPStatus.OK
        except OSError:
            return False

    def close(self) -> None:
        self._connection.close()


def wait_until(condition: Callable[[], bool], *, what: str, timeout_s: float, alive: Alive) -> None:
    """Polls `condition`; raises NotReadyError after `timeout_s`, or whatever `alive` raises."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        alive()
        if time.monotonic() > deadline:
            raise NotReadyError(f"{what}: not after {timeout_s:.0f} s")
        time.sleep(0.05)
