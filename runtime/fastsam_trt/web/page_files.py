"""PageFiles: the files of a page, and the headers that protect it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from importlib import resources
from typing import TYPE_CHECKING

from aiohttp import web

if TYPE_CHECKING:
    from aiohttp.web_urldispatcher import UrlDispatcher

_SHARED = "fastsam_trt.web"
_TYPES = {".css": "text/css", ".html": "text/html", ".js": "text/javascript"}
_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src blob: data:; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


@dataclass(frozen=True, slots=True)
class PageFiles:
    """The files of a page; the first is the page itself, at `/`.

    Attributes:
        package: The package that they are in.
        names: Their names.
        shared: Names of files that pages share, in this package.
    """

    package: str
    names: tuple[str, ...]
    shared: tuple[str, ...] = ()

    @property
    def paths(self) -> tuple[str, ...]:
        """Their paths on the server."""
        return ("/", *(f"/{name}" for name in (*self.names[1:], *self.shared)))

    def add_to(self, router: UrlDispatcher) -> None:
        """Add a route for each file."""
        found = [(self.package, name) for name in self.names] + [(_SHARED, name) for name in self.shared]
        for path, (package, name) in zip(self.paths, found, strict=True):
            text = (resources.files(package) / name).read_text("utf-8")
            router.add_get(path, partial(_send, text, _TYPES[name[name.rindex(".") :]]))


async def _send(text: str, kind: str, _request: web.Request) -> web.Response:
    return web.Response(text=text, content_type=kind)


async def add_security_headers(_request: web.Request, response: web.StreamResponse) -> None:
    """Let browsers load nothing from elsewhere, and show the page nowhere else."""
    response.headers.update(_HEADERS)
