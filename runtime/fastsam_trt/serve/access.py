"""Access: check the host, origin and token of requests."""

from __future__ import annotations

import hmac
from collections.abc import Iterable

from aiohttp import web

from fastsam_trt.serve.access_rules import AccessRules
from fastsam_trt.serve.problem import ProblemError
from fastsam_trt.web.address import Address
from fastsam_trt.web.origin_guard import OriginGuard

_PREFLIGHT_S = "600"


class Access:
    """Checks requests, and lets browsers read answers where pages of other sites may."""

    def __init__(self, address: Address, rules: AccessRules, public: Iterable[str]) -> None:
        """Create the checks.

        Args:
            address: Where the server listens.
            rules: Who may use it.
            public: Paths that need no token.
        """
        self._guard = OriginGuard(address, rules.hosts)
        self._origins = {origin.casefold() for origin in rules.origins}
        self._token = None if rules.token is None else rules.token.encode()
        self._public = frozenset(public)

    def check(self, request: web.BaseRequest) -> None:
        """Check a request.

        Raises:
            ProblemError: Its host or origin is not allowed (403), or it has no valid token (401).
        """
        host, origin = request.headers.get("Host"), request.headers.get("Origin")
        if self._token is None and not self._guard.accepts_host(host):  # a page that rebinds a name has no token
            raise ProblemError(
                403, "Host: expected a name of this server, found another; allow it with --allowed-host, or set a token"
            )
        if not (self._allows(origin) or self._guard.accepts_origin(origin, host)):
            raise ProblemError(403, "Origin: expected this server's own page; allow others with --cors-origin")
        if self._token is not None and request.path not in self._public:
            self._check_token(request.headers.get("Authorization", ""), self._token)

    def preflight(self, request: web.BaseRequest) -> web.Response | None:
        """The answer to a browser that asks whether a page of another site may send a request; None: it is none."""
        headers = request.headers
        if request.method != "OPTIONS" or "Access-Control-Request-Method" not in headers:
            return None
        if not self._allows(headers.get("Origin")):
            return None
        return web.Response(
            status=204,
            headers={
                "Access-Control-Allow-Methods": "GET, HEAD, POST",
                "Access-Control-Allow-Headers": "Authorization, Content-Type",
                "Access-Control-Max-Age": _PREFLIGHT_S,
            },
        )

    async def add_headers(self, request: web.BaseRequest, response: web.StreamResponse) -> None:
        """Let the browser show the answer to a page of an allowed site."""
        if not self._origins:
            return
        response.headers.add("Vary", "Origin")
        origin = request.headers.get("Origin")
        if origin is not None and self._allows(origin):
            response.headers["Access-Control-Allow-Origin"] = origin
            response.headers["Access-Control-Expose-Headers"] = "Retry-After, Server-Timing"
            response.headers["Cross-Origin-Resource-Policy"] = "cross-origin"

    def _allows(self, origin: str | None) -> bool:
        return origin is not None and ("*" in self._origins or origin.casefold() in self._origins)

    @staticmethod
    def _check_token(header: str, token: bytes) -> None:
        scheme, _, found = header.partition(" ")
        if scheme.casefold() != "bearer" or not hmac.compare_digest(found.strip().encode("utf-8", "replace"), token):
            raise ProblemError(
                401, "Authorization: expected Bearer and the token of this server", {"WWW-Authenticate": "Bearer"}
            )
