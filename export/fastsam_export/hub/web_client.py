"""Requests to hubs and web servers, through huggingface_hub's own session.

That session honours proxies, certificates and `HF_HUB_OFFLINE`; huggingface_hub also reads `HF_ENDPOINT`, `HF_HOME`,
`HF_TOKEN` and `HF_HUB_DOWNLOAD_TIMEOUT`. Its own retries are not used: it repeats a request for up to a minute. Here
a request fails after one timeout, and what repeats it is the download of a file that has begun.
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from types import ModuleType
from typing import Any
from urllib.parse import urlsplit

from fastsam_engine.errors import brief, one_line
from fastsam_engine.packages import version
from fastsam_export.hub.pull_errors import (
    GatedModelError,
    HubAnswerError,
    HubSettingsError,
    HubUnreachableError,
    NotOnHubError,
    OfflineError,
    PullRequestError,
    TokenRefusedError,
)
from fastsam_export.hub.reference import public_address

_MOST_JSON_BYTES = 1 << 26
_BROKEN = frozenset({408, 429, *range(500, 600)})
_WEB_PAGES = ("text/html", "application/xhtml")


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a request is for, for its errors.

    Attributes:
        shown: The model or file, such as `org/repo:file.onnx`.
        repository: Hub id; empty for a web server that is no hub.
        revision: Revision of the repository.
    """

    shown: str
    repository: str = ""
    revision: str = ""


def hub_settings() -> ModuleType:
    """The settings of huggingface_hub, which it reads from variables when it is first imported.

    Raises:
        HubSettingsError: It can't read one.
    """
    try:
        from huggingface_hub import constants
    except ValueError as error:
        raise HubSettingsError(one_line(error)) from error
    return constants


class WebClient:
    """Requests to the hub at `HF_ENDPOINT`, and to other servers."""

    def __init__(self) -> None:
        constants = hub_settings()
        from huggingface_hub.errors import HfHubHTTPError

        self.endpoint: str = constants.ENDPOINT
        self._timeout_s = float(constants.HF_HUB_DOWNLOAD_TIMEOUT)
        base = HfHubHTTPError.__bases__[0]  # of httpx or of httpx2, as the version of huggingface_hub has it
        self._http: Any = importlib.import_module(base.__module__.partition(".")[0])

    @property
    def hub_host(self) -> str:
        """Host and port of the hub, for messages."""
        return _host(self.endpoint)

    @contextmanager
    def stream(self, address: str, wanted: Wanted, headers: Mapping[str, str] | None = None) -> Iterator[Any]:
        """Request an address, and yield the response: status 200, 206, 304 or 416, its body not yet read.

        Args:
            address: Web address. The token is sent to the hub's only, and not along with redirects to other hosts.
            wanted: What it is for.
            headers: More headers.

        Raises:
            HubUnreachableError: No answer, or a server that is out of order; also while the block reads the body.
            HubAnswerError: A web page, too many redirects, or one to an unencrypted address.
            GatedModelError, TokenRefusedError, NotOnHubError: The hub refuses it.
            OfflineError: `HF_HUB_OFFLINE` is set.
            HubSettingsError: Proxies or certificates are set to what can't be used.
            PullRequestError: The address can't be requested.
        """
        request_headers = {**self._headers(address), **(headers or {})}
        with (
            self._explained(address, wanted),
            _session().stream("GET", address, headers=request_headers, timeout=self._timeout_s) as response,
        ):
            self._check(response, address, wanted)
            yield response

    def json(self, address: str, wanted: Wanted) -> object:
        """Request a JSON document.

        Raises:
            The errors of `stream`, and HubAnswerError if it is not JSON.
        """
        data = bytearray()
        with self.stream(address, wanted, {"Accept": "application/json"}) as response:
            for chunk in response.iter_bytes():
                data += chunk
                if len(data) > _MOST_JSON_BYTES:
                    raise HubAnswerError(_host(address), f"at most {_MOST_JSON_BYTES >> 20} MiB of JSON", "more")
        try:
            return json.loads(data)
        except (ValueError, RecursionError) as error:
            found = bytes(data[:40]).decode("utf-8", "replace")
            raise HubAnswerError(_host(address), "JSON", f"{found!r}") from error

    def has_token(self) -> bool:
        """Whether there is a token for the hub."""
        return bool(_token())

    def _headers(self, address: str) -> dict[str, str]:
        headers = {"User-Agent": f"fastsam-trt/{version('fastsam-trt') or 'unknown'}"}
        if address.startswith(f"{self.endpoint}/") and (token := _token()):
            if not (token.isascii() and token.isprintable()):
                raise TokenRefusedError(self.hub_host)
            headers["Authorization"] = f"Bearer {token}"
        return headers

    @contextmanager
    def _explained(self, address: str, wanted: Wanted) -> Iterator[None]:
        """Turn the errors of the HTTP library into those of this package."""
        from huggingface_hub.errors import OfflineModeIsEnabled

        http, host = self._http, _host(address)
        try:
            yield
        except OfflineModeIsEnabled as error:
            raise OfflineError(wanted.shown, None) from error
        except (http.InvalidURL, http.UnsupportedProtocol) as error:
            where, found = ("HF_ENDPOINT", self.endpoint) if wanted.repository else ("address", address)
            raise PullRequestError(
                f"{where}: expected an address such as https://huggingface.co, found {brief(public_address(found))!r}"
            ) from error
        except http.TimeoutException as error:
            raise HubUnreachableError(_last_host(error, host), f"none within {self._timeout_s:g} s") from error
        except (http.TooManyRedirects, http.DecodingError) as error:
            raise HubAnswerError(_last_host(error, host), "a file", one_line(error)) from error
        except http.HTTPError as error:
            raise HubUnreachableError(_last_host(error, host), one_line(error)) from error

    def _check(self, response: Any, address: str, wanted: Wanted) -> None:
        """Refuse a response that is no file."""
        status, host = int(response.status_code), _host(address)
        if address.startswith("https://") and response.url.scheme != "https":
            raise HubAnswerError(host, "an encrypted connection", f"a redirect to {public_address(str(response.url))}")
        if status >= 400 and status != 416:
            self._refuse(response, address, wanted)
        kind = response.headers.get("Content-Type", "")
        if status == 200 and kind.lower().startswith(_WEB_PAGES):
            raise HubAnswerError(host, f"{wanted.shown}", f"a web page ({kind})")

    def _refuse(self, response: Any, address: str, wanted: Wanted) -> None:
        status, code, host = int(response.status_code), response.headers.get("X-Error-Code", ""), _host(address)
        if status in _BROKEN:
            wait = response.headers.get("Retry-After", "")
            fix = f"wait {wait} s, then run it again" if wait.isdigit() else ""
            raise HubUnreachableError(host, f"status {status}", fix)
        if not wanted.repository:
            fix = "check the address" if status in (404, 410) else f"the server refuses it (status {status})"
            raise NotOnHubError(wanted.shown, public_address(address), fix)
        repository, revision = wanted.repository, wanted.revision
        page = f"{self.endpoint}/{repository}"
        if code == "GatedRepo":
            raise GatedModelError(repository, page, self.has_token())
        if status == 401 and "Invalid credentials" in response.headers.get("X-Error-Message", ""):
            raise TokenRefusedError(host)
        if code == "RevisionNotFound":
            raise NotOnHubError(f"revision {revision}", page, "choose another with --revision")
        if code == "EntryNotFound":
            raise NotOnHubError(wanted.shown, page, f"its files are listed at {page}/tree/{revision}")
        fix = "check its name; if it is private, give a token that may read it in HF_TOKEN"
        raise NotOnHubError(repository, page, f"{fix} (status {status})")


def _token() -> str:
    """The token that huggingface_hub would send; empty if there is none."""
    from huggingface_hub import get_token

    return "" if hub_settings().HF_HUB_DISABLE_IMPLICIT_TOKEN else get_token() or ""


def _session() -> Any:
    """huggingface_hub's session, which reads the variables of proxies and certificates when it is created."""
    from huggingface_hub import get_session

    try:
        return get_session()
    except (ValueError, ImportError, OSError) as error:
        raise HubSettingsError(one_line(error)) from error


def _last_host(error: Any, first: str) -> str:
    """Host and port that failed, after redirects."""
    try:
        return _host(str(error.request.url))
    except RuntimeError:  # the library knows of none
        return first


def _host(address: str) -> str:
    """Host and port, for messages."""
    try:
        return urlsplit(public_address(address)).netloc or brief(public_address(address))
    except ValueError:
        return brief(public_address(address))
