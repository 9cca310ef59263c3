"""Names of sources: parse them, and show them in messages."""

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
"""The video that needs no file."""

DEMO_PHOTO = "demo-photo"
"""The photo that needs no file."""

_DEMO_ADDRESSES = {DEMO: "demo://", DEMO_PHOTO: "demo://photo"}  # also if there is a file of that name
_CAMERA = re.compile(r"(?:cam|/dev/video)?([0-9]{1,9})")
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
_FILE_ADDRESS = re.compile(r"file:(?://([^/]*)(?=/))?(.+)", re.IGNORECASE | re.DOTALL)
_HIGHEST_CAMERA = 999_999_999
_STREAMS = ("ftp", "ftps", "gopher", "hls", "http", "https", "mms", "mmsh", "mmst", "rist", "rtmp", "rtmpe", "rtmps",
            "rtmpt", "rtmpte", "rtmpts", "rtp", "rtsp", "rtsps", "sftp", "srt", "srtp", "tcp", "tls", "udp", "udplite",
            "unix")  # fmt: skip


def check_type(source: object) -> str | int | Path:
    """A source as a string, a camera number or a path. NumPy integers are numbers; bytes are a path.

    Raises:
        SourceTypeError: It has another type.
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
    """Whether a source is the demo video.

    Raises:
        AmbiguousSourceError: There is also a file or folder of that name.
    """
    return _is_demo(source, DEMO)


def is_demo_photo(source: str | int | os.PathLike[str]) -> bool:
    """Whether a source is the demo photo.

    Raises:
        AmbiguousSourceError: There is also a file or folder of that name.
    """
    return _is_demo(source, DEMO_PHOTO)


def _is_demo(source: str | int | os.PathLike[str], name: str) -> bool:
    address = _DEMO_ADDRESSES[name]
    if source == name and os.path.lexists(name):
        raise AmbiguousSourceError(name, f"./{name} for what is on disk", f"{address} for the demo")
    return isinstance(source, str) and source in {name, address}


def find_camera(source: str | int | os.PathLike[str]) -> int | None:
    """The number of the camera that a source names, also through a link to its device; None if it is not a camera.

    Raises:
        AmbiguousSourceError: There is also a file or folder of that name.
        SourceNotFoundError: The number is out of range.
    """
    if isinstance(source, int):
        if not 0 <= source <= _HIGHEST_CAMERA:
            found = "a negative number" if source < 0 else "a higher number"
            raise SourceNotFoundError(str(source), f"a camera number from 0 to {_HIGHEST_CAMERA}", found)
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
    """The address of a stream, with its scheme in lower case; None if the source is not an address.

    Raises:
        SourceNotFoundError: The scheme is not supported.
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
        hide_password(source),
        f"an address with one of the schemes {', '.join(_STREAMS)} or file",
        f"the scheme {scheme[1]!r}",
    )


def as_path(source: str | os.PathLike[str]) -> Path:
    """The path that a source names, with `~` and `file:` addresses resolved.

    Raises:
        SourceNotFoundError: It is the address of a file on another host.
    """
    name = os.fspath(source)
    address = _FILE_ADDRESS.fullmatch(name) if isinstance(source, str) else None
    if address and not os.path.lexists(name):
        if (address[1] or "localhost").lower() != "localhost":
            raise SourceNotFoundError(name, "file:///PATH for a file on this machine", f"the host {address[1]!r}")
        plain = Path(unquote(address[2], errors="surrogateescape"))
        return plain if os.path.lexists(plain) or not os.path.lexists(address[2]) else Path(address[2])
    return Path(name) if os.path.lexists(name) else expand_user(name)


def printable(name: str | Path) -> str:
    r"""A name as printable text on one line, in valid UTF-8.

    Bytes that are not UTF-8 are shown as `\xe9`, control characters as `\n` or `\x1b`; the rest is unchanged.
    """
    try:
        text = os.fsencode(name).decode("utf-8", "backslashreplace")
    except UnicodeEncodeError:  # a lone surrogate, which file names can't contain
        text = str(name).encode("utf-8", "backslashreplace").decode()
    return re.sub(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]", lambda match: match[0].encode("unicode_escape").decode(), text)


def hide_password(address: str) -> str:
    """An address without its password: `rtsp://user:***@host`."""
    return re.sub(r"(?<=://)([^/@:]*):[^/]*@", r"\1:***@", address)


def _resolve(name: str) -> str:
    try:
        return os.path.realpath(expand_user(name))
    except (OSError, ValueError):  # the name is too long, or has a null byte
        return name
