"""Names of sources: what a string means, and how a name is shown."""

from __future__ import annotations

import operator
import os
import re
from contextlib import suppress
from pathlib import Path
from urllib.parse import unquote

from fastsam_engine.store.home_folder import expand_user
from fastsam_trt.errors import AmbiguousSourceError, SourceNotFoundError, SourceTypeError

DEMO = "demo"
"""The source that needs no file."""

_DEMO_ADDRESS = "demo://"  # where a file has its name
_CAMERA = re.compile(r"(?:cam|/dev/video)?([0-9]{1,9})")
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
_FILE_ADDRESS = re.compile(r"file:(?://([^/]*)(?=/))?(.+)", re.IGNORECASE | re.DOTALL)
_HIGHEST_CAMERA = 999_999_999
_STREAMS = ("ftp", "ftps", "gopher", "hls", "http", "https", "mms", "mmsh", "mmst", "rist", "rtmp", "rtmpe", "rtmps",
            "rtmpt", "rtmpte", "rtmpts", "rtp", "rtsp", "rtsps", "sftp", "srt", "srtp", "tcp", "tls", "udp", "udplite",
            "unix")  # fmt: skip


def check_type(source: object) -> str | int | Path:
    """A source as a string, the number of a camera or a path. Numbers may be NumPy's, and bytes are a path.

    Raises:
        SourceTypeError: It is none of them.
    """
    if isinstance(source, str | Path):
        return source
    if isinstance(source, bytes | os.PathLike):
        return Path(os.fsdecode(source))
    if not isinstance(source, bool):
        with suppress(TypeError):
            return operator.index(source)  # type: ignore[arg-type]
    raise SourceTypeError(f"{type(source).__name__} {' '.join(repr(source).split())[:80]}")


def is_demo(source: str | int | os.PathLike[str]) -> bool:
    """Whether a source is the demo.

    Raises:
        AmbiguousSourceError: It is, and something on disk has the same name.
    """
    if source == DEMO and os.path.lexists(DEMO):
        raise AmbiguousSourceError(DEMO, f"./{DEMO} for what is on disk", f"{_DEMO_ADDRESS} for the demo")
    return isinstance(source, str) and source in {DEMO, _DEMO_ADDRESS}


def find_camera(source: str | int | os.PathLike[str]) -> int | None:
    """The number of the camera that a source names, itself or as a path that leads to its device; None: it is none.

    Raises:
        AmbiguousSourceError: A string that names a camera, and a file or folder as well.
        SourceNotFoundError: A number that no camera has.
    """
    if isinstance(source, int):
        if not 0 <= source <= _HIGHEST_CAMERA:
            found = "a negative one" if source < 0 else "a higher one"
            raise SourceNotFoundError(str(source), f"a camera's number, 0 to {_HIGHEST_CAMERA}", found)
        return source
    name = os.fspath(source)
    camera = _CAMERA.fullmatch(name) if isinstance(source, str) else None
    if camera:
        if not name.startswith("/") and os.path.lexists(name):
            raise AmbiguousSourceError(name, f"./{name} for what is on disk", f"/dev/video{camera[1]} for the camera")
        return int(camera[1])
    device = re.fullmatch(r"/dev/video([0-9]{1,9})", _resolve(name)) if name else None
    return int(device[1]) if device else None


def find_address(source: str | int | os.PathLike[str]) -> str | None:
    """The address of a stream that a source is, its scheme in small letters; None: it is none.

    Raises:
        SourceNotFoundError: Nothing can be read from addresses of that scheme.
    """
    scheme = _SCHEME.match(source) if isinstance(source, str) else None
    if scheme is None or not isinstance(source, str) or scheme[1].lower() in {"file", DEMO}:
        return None
    lower = scheme[1].lower()
    if all(part in _STREAMS for part in lower.split("+")):
        return lower + source[len(lower) :]
    if os.path.lexists(source):
        return None
    raise SourceNotFoundError(
        hide_password(source), f"an address of {', '.join(_STREAMS)} or file", f"the scheme {scheme[1]!r}"
    )


def as_path(source: str | os.PathLike[str]) -> Path:
    """The path that a source names, `~` and `file:` addresses resolved.

    Raises:
        SourceNotFoundError: An address of a file on another machine.
    """
    name = os.fspath(source)
    address = _FILE_ADDRESS.fullmatch(name) if isinstance(source, str) else None
    if address and not os.path.lexists(name):
        if (address[1] or "localhost").lower() != "localhost":
            raise SourceNotFoundError(name, "file:///PATH, a file of this machine", f"the host {address[1]!r}")
        plain = Path(unquote(address[2], errors="surrogateescape"))
        return plain if os.path.lexists(plain) or not os.path.lexists(address[2]) else Path(address[2])
    return Path(name) if os.path.lexists(name) else expand_user(name)


def printable(name: str | Path) -> str:
    r"""A name that can be printed and encoded anywhere, on one line.

    Bytes that are no UTF-8 are shown as `\xe9`, what controls a terminal as `\n` or `\x1b`; all else as it is.
    """
    try:
        text = os.fsencode(name).decode("utf-8", "backslashreplace")
    except UnicodeEncodeError:  # half of a pair of surrogates, which no file has in its name
        text = str(name).encode("utf-8", "backslashreplace").decode()
    return re.sub(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]", lambda each: each[0].encode("unicode_escape").decode(), text)


def hide_password(address: str) -> str:
    """An address as it may be shown: `rtsp://user:***@host`."""
    return re.sub(r"(?<=://)([^/@:]*):[^/]*@", r"\1:***@", address)


def _resolve(name: str) -> str:
    try:
        return os.path.realpath(expand_user(name))
    except (OSError, ValueError):  # a name that is too long, or has a null byte
        return name
