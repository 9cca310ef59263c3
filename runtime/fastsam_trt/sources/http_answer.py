"""What an HTTP server says of an address, without what it sends."""

from __future__ import annotations

import base64
import http.client
from urllib.parse import unquote, urlsplit


def ask(address: str, timeout_s: float) -> http.client.HTTPResponse | None:
    """The status and headers that a server answers with, its connection closed; None where it does not answer.

    Args:
        address: An `http` or `https` address.
        timeout_s: How long to wait for the connection, and again for the answer.
    """
    parts = urlsplit(address)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    headers = {}
    if parts.username is not None:
        user = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        headers["Authorization"] = f"Basic {base64.b64encode(user.encode()).decode()}"
    connection = kind(parts.hostname or "", parts.port, timeout=timeout_s)
    try:
        connection.request("GET", f"{parts.path or '/'}{'?' + parts.query if parts.query else ''}", headers=headers)
        return connection.getresponse()
    except (OSError, ValueError, http.client.HTTPException):
        return None
    finally:
        connection.close()
