"""Diagnose why a camera or stream can't be opened, after its library has failed without a usable reason."""

from __future__ import annotations

import os
import re
import socket
import sys
from pathlib import Path
from urllib.parse import SplitResult, parse_qs, urlsplit

from fastsam_trt.sources.live.http_probe import request_head

_CONNECT_S = 2.0
_PORTS = {"http": 80, "https": 443, "rtmp": 1935, "rtmps": 443, "rtsp": 554, "rtsps": 322}
_LISTENERS = frozenset({"rtp", "srt", "udp"})


def why_absent(target: str | int, tried_s: float) -> str:
    """Find out why a camera or stream does not answer, in at most a few seconds.

    Args:
        target: A camera number, or an address.
        tried_s: Timeout of the attempt to open it, s.

    Returns:
        What was found instead, for an error message.
    """
    if isinstance(target, int):
        return _find_camera(target)
    try:
        parts = urlsplit(target)
        port = parts.port or _PORTS.get(parts.scheme)
    except ValueError as error:
        return f"an invalid address ({error})"
    listens = parse_qs(parts.query, keep_blank_values=True).get("listen", ["0"])[0] != "0"
    if parts.scheme in _LISTENERS or listens:
        return f"no video sent to it within {tried_s:g} s"
    if parts.hostname is None or port is None:
        return "an address that FFmpeg can't open"
    return _find_server(parts, parts.hostname, port)


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


def _find_server(parts: SplitResult, host: str, port: int) -> str:
    where = f"{host}:{port}"
    try:
        with socket.create_connection((host, port), timeout=_CONNECT_S) as connection:
            status = _rtsp_status(connection, parts) if parts.scheme == "rtsp" else None
    except (socket.gaierror, UnicodeError):
        return f"no host named {host!r}"
    except ConnectionRefusedError:
        return f"a connection refused by {where}"
    except TimeoutError:
        return f"no answer from {where} within {_CONNECT_S:g} s"
    except OSError as error:
        return f"no connection to {where} ({error.strerror or error})"
    if parts.scheme in {"http", "https"}:
        answer = request_head(parts.geturl(), _CONNECT_S)
        status = f"HTTP {answer.status} {answer.reason}" if answer is not None and answer.status >= 400 else None
    return f"{where}, which answers {status}" if status else f"{where}, which sends no video that FFmpeg can open"


def _rtsp_status(connection: socket.socket, parts: SplitResult) -> str | None:
    """The status line of an RTSP server that refuses the request; None if it does not."""
    address = parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
    try:
        connection.sendall(f"DESCRIBE {address} RTSP/1.0\r\nCSeq: 1\r\nAccept: application/sdp\r\n\r\n".encode())
        line = connection.recv(256).split(b"\r\n")[0].decode(errors="replace")
    except OSError:
        return None
    return line if re.match(r"RTSP/1\.\d [45]\d\d ", line) else None
