"""Tell a network that fails from weights that are not there, before a framework repeats its requests for a minute."""

from __future__ import annotations

import http.client
import re
import ssl
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

from fastsam_engine.concurrency.time_limit import within
from fastsam_engine.errors import one_line
from fastsam_engine.store.home_folder import expand_user
from fastsam_export.errors import WeightsNotFoundError, WeightsUnreachableError

ANSWER_S = 5.0
"""Longest wait for the first answer of a server, s. Downloads themselves may take as long as they need."""

_HUB_ID = re.compile(r"[\w.-]+(/[\w.-]+)?")
_PASSING = frozenset({408, 429, *range(500, 600)})  # statuses of a server that is out of order or too busy
_NETWORK_ERRORS = frozenset({"ConnectionError", "TimeoutError", "Timeout", "TransportError", "gaierror"})
"""Base classes of the network errors of Python, requests, urllib3 and httpx, which have no class in common."""


def why_unreachable(address: str) -> str:
    """Ask a web server for an address, through the proxy of the environment; empty if it answers, whatever it says.

    Returns:
        What was found instead of an answer, after five seconds at most.
    """
    request = urllib.request.Request(address, method="HEAD")  # noqa: S310 - http or https, as the frameworks use
    try:
        within(ANSWER_S, lambda: urllib.request.urlopen(request, timeout=ANSWER_S).close())  # noqa: S310
    except urllib.error.HTTPError as error:
        return f"status {error.code}" if error.code in _PASSING else ""
    except TimeoutError:
        return f"none within {ANSWER_S:g} s"
    except urllib.error.URLError as error:
        reason = error.reason
        if isinstance(reason, ssl.SSLError):  # frameworks may know other certificates
            return ""
        return f"none within {ANSWER_S:g} s" if isinstance(reason, TimeoutError) else _text(reason)
    except (OSError, ValueError, http.client.HTTPException) as error:
        return _text(error)
    return ""


def _text(reason: object) -> str:
    return str(getattr(reason, "strerror", None) or reason or type(reason).__name__)


@contextmanager
def from_hub(weights: str, what: str) -> Iterator[dict[str, bool]]:
    """Load something of a hub id or a local folder with transformers.

    Yields:
        Arguments for `from_pretrained`. If the hub does not answer, they make it use what was downloaded before.

    Args:
        weights: The hub id or folder.
        what: What is loaded, for the message.

    Raises:
        WeightsUnreachableError: It was not downloaded before, and the network failed.
        WeightsNotFoundError: The weights do not exist, or can't be read.
    """
    from huggingface_hub import constants

    address, fault = f"{constants.ENDPOINT}/{weights}/resolve/main/config.json", ""
    is_remote = _HUB_ID.fullmatch(weights) is not None and not expand_user(weights).exists()
    if is_remote and not constants.is_offline_mode():
        fault = why_unreachable(address)
    try:
        yield {"local_files_only": True} if fault else {}
    except (OSError, ValueError) as error:
        if fault or (is_remote and is_network_error(error)):
            raise WeightsUnreachableError(weights, urlsplit(address).netloc, fault or one_line(error)) from error
        raise WeightsNotFoundError(weights, f"transformers can't load {what} ({one_line(error)})") from error


def is_network_error(error: BaseException) -> bool:
    """Whether an error, or one that caused it, is that of a network which failed."""
    seen: set[int] = set()
    cause: BaseException | None = error
    while cause is not None and id(cause) not in seen:
        seen.add(id(cause))
        if any(base.__name__ in _NETWORK_ERRORS for base in type(cause).__mro__):
            return True
        cause = cause.__cause__ or cause.__context__
    return False
