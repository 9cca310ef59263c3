"""AccessRules: who may use the server."""

from __future__ import annotations

import re
from dataclasses import dataclass

from fastsam_trt.errors import OptionError

_TOKEN = re.compile(r"[A-Za-z0-9._~+/-]{16,512}=*", re.ASCII)  # b64token of RFC 6750
_ORIGIN = re.compile(r"https?://[^/\s,;*?#]+", re.ASCII | re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class AccessRules:
    """Who may use the server, besides itself.

    Attributes:
        token: What `Authorization: Bearer` must be; None: no token is needed.
        origins: Sites whose pages may use it, such as `https://example.com`; `*`: all.
        hosts: Names by which clients may call it, besides its address. With a token any name is accepted.

    Raises:
        OptionError: The token is too short or can't be in a header, or an origin is none.
    """

    token: str | None = None
    origins: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.token is not None and not _TOKEN.fullmatch(self.token):
            raise OptionError(
                "token",
                "16 or more letters, digits or characters of -._~+/",
                f"{len(self.token)} characters",
                'make one with: python -c "import secrets; print(secrets.token_urlsafe())"',
            )
        for origin in self.origins:
            if origin != "*" and not _ORIGIN.fullmatch(origin):
                raise OptionError("cors_origin", "an origin such as https://example.com, or *", origin)
