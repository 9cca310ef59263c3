"""Diagnose why a camera or stream can't be opened, after its library has failed without a usable reason."""

from __future__ import annotations

import os
import re
import socket
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import SplitResult, parse_qs, urlsplit

from fastsam_engine.concurrency.time_limit import within
from fastsam_trt.errors import SourceNotFoundError, SourceUnreachableError, SourceUnreadableError
from fastsam_trt.sources.live.http_probe import request_head

_LIMIT_S = 3.0  # for all steps; a name server that does not answer takes much longer
_CONNECT_S = 2.0
_PORTS = {"http": 80, "https": 443, "rtmp": 1935, "rtmps": 443, "rtsp": 554, "rtsps": 322}
_LISTENERS = frozenset({"rtp", "srt", "udp"})
_SERVER_FAULTS = re.compile(r"(?:408|429|5\d\d)\b")  # statuses that may pass, in HTTP and RTSP

Fault = Literal["request", "network", "content"]


@dataclass(frozen=True, slots=True)
class Absence:
    """Why a camera or stream can't be opened.

    Attributes:
        found: What was found instead, for an error message.
        fault: What is at fault: the `request`, which names nothing that exists; the `network` or the server, which may
            answer later; or the `content`, since the server answers with something else than a video.
    """

    found: str
    fault: Fault

    def error(self, source: str) -> Exception:
        """The error to raise for a source."""
        wanted = "a camera or stream that answers"
        if self.fault == "content":
            return SourceUnreadableError(source, f"expected a video or image, found {self.found}")
        kind = SourceUnreachableError if self.fault == "network" else SourceNotFoundError
        return kind(source, wanted, self.found)


def why_absent(target: str | int, tried_s: float, *, in_vain: bool = True) -> Absence:
    """Find out why a camera or stream does not answer, in at most three seconds.

    Args:
        target: A camera number, or an address.
        tried_s: Time limit of the attempt to open it, s.
        in_vain: Whether that time had passed, rather than that the library gave up before.
    """
    if isinstance(target, int):
        return Absence(_find_camera(target), "request")
    late = f"within {tried_s:g} s"
    try:
        parts = urlsplit(target)
        port = parts.port or _PORTS.get(parts.scheme)
    except ValueError as error:
        return Absence(f"an invalid address ({error})", "request")
    listens = parse_qs(parts.query, keep_blank_values=True).get("listen", ["0"])[0] != "0"
    if parts.scheme in _LISTENERS or listens:
        return Absence(f"no video sent to it {late}", "network")
    host = parts.hostname
    if host is None or port is None:
        return Absence("an address that FFmpeg can't open", "request")
    try:
        return within(_LIMIT_S, lambda: _find_server(parts, host, port, late if in_vain else ""))
    except TimeoutError:
        return Absence(f"no answer from {host}:{port} {late}", "network")


def _find_camera(number: int) -> str:
    if sys.platform != "linux":
        return f"no camera {number} that OpenCV can open: it is absent, in use, or access is denied"
    return find_device(Path(f"/dev/video{number}"))


def find_device(device: Path) -> str:
    """Find out why the camera at a device path does not answer, on Linux."""
    if not device.exists():
        others = sorted(map(str, device.parent.glob("video*")))
        return f"no {device} ({'there is ' + ', '.join(others) if others else 'and no other camera'})"
    try:
        os.close(os.open(device, os.O_RDWR | os.O_NONBLOCK))
    except PermissionError:
        return f"no permission to open {device}; add the user to its group: {_group(device)}"
    except OSError as error:
        return f"{device}, which can't be opened ({error.strerror})"
    holders = _find_holders(device)
    if holders:
        return f"{device} in use by {', '.join(holders)}"
    return f"{device}, but OpenCV can't read frames from it: not a camera, or in use by another process"


def _group(device: Path) -> str:
    try:
        return device.group()
    except (KeyError, OSError):
        return "video"


def _find_holders(device: Path) -> list[str]:
    """The processes that hold a device open, among those that this user may inspect."""
    holders = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            is_open = any(os.path.realpath(link) == str(device.resolve()) for link in (process / "fd").iterdir())
            if is_open:
                holders.append(f"process {process.name} ({(process / 'comm').read_text().strip()})")
        except OSError:  # a process of another user, or one that has ended
            continue
    return holders


def _find_server(parts: SplitResult, host: str, port: int, late: str) -> Absence:
    where = f"{host}:{port}"
    try:
        with socket.create_connection((host, port), timeout=_CONNECT_S) as connection:
            status = _rtsp_status(connection, parts) if parts.scheme == "rtsp" else ""
    except (socket.gaierror, UnicodeError) as error:
        is_asked_in_vain = isinstance(error, socket.gaierror) and error.errno == socket.EAI_AGAIN
        return Absence(f"no {'name server that knows' if is_asked_in_vain else 'host named'} {host!r}", "network")
    except ConnectionRefusedError:
        return Absence(f"a connection refused by {where}", "network")
    except TimeoutError:
        return Absence(f"no answer from {where} within {_CONNECT_S:g} s", "network")
    except OSError as error:
        return Absence(f"no connection to {where} ({error.strerror or error})", "network")
    has_answered = not late
    if parts.scheme in {"http", "https"}:
        answer = request_head(parts.geturl(), _CONNECT_S)
        has_answered = has_answered or answer is not None
        status = "" if answer is None or answer.status < 400 else f"HTTP {answer.status} {answer.reason}"
    if status:
        is_passing = _SERVER_FAULTS.match(status.partition(" ")[2])
        return Absence(f"{where}, which answers {status}", "network" if is_passing else "request")
    if late:
        return Absence(f"{where}, which sent no video {late}", "content" if has_answered else "network")
    return Absence(f"{where}, which sends no video that FFmpeg can open", "content")


def _rtsp_status(connection: socket.socket, parts: SplitResult) -> str:
    """The status line of an RTSP server that refuses the request; empty if it does not."""
    address = parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
    try:
        connection.sendall(f"DESCRIBE {address} RTSP/1.0\r\nCSeq: 1\r\nAccept: application/sdp\r\n\r\n".encode())
        line = connection.recv(256).split(b"\r\n")[0].decode(errors="replace")
    except OSError:
        return ""
    return line if re.match(r"RTSP/1\.\d [45]\d\d ", line) else ""
