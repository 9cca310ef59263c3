"""Synthetic video files, and servers on loopback that send them in real time, with moving pictures of known times."""

from __future__ import annotations

import io
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Self

import av
import cv2
import numpy as np
from numpy.typing import NDArray

TIME_BASE = Fraction(1, 90_000)


def moving_pictures(count: int, width: int, height: int) -> Iterator[NDArray[np.uint8]]:
    """Pictures (height, width, 3) uint8 BGR of a red disc that crosses a textured background."""
    generator = np.random.default_rng(0)
    small = generator.integers(40, 200, (height // 16, width // 16, 3), np.uint8)
    background = cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC)
    for i in range(count):
        picture = background.copy()
        cv2.circle(picture, (int((0.1 + 0.8 * i / count) * width), height // 2), height // 6, (20, 20, 220), cv2.FILLED)
        yield picture


def encode(
    target: Path | io.RawIOBase,
    times_s: Sequence[float],
    *,
    size: tuple[int, int] = (640, 360),
    codec: str = "libx264",
    container: str | None = None,
    each: Callable[[], None] = lambda: None,
) -> None:
    """Encode one picture per time.

    Args:
        target: A file, or a stream for the bytes.
        times_s: Times of the pictures, seconds, increasing.
        size: (width, height), px.
        codec: FFmpeg's name of the encoder.
        container: FFmpeg's name of the format; None: by the suffix of the file.
        each: Called when the bytes of a picture are written.
    """
    to = str(target) if isinstance(target, Path) else target
    with av.open(to, "w", format=container, options={"flush_packets": "1"}) as output:
        stream = output.add_stream(codec, rate=30, options={"tune": "zerolatency"} if codec == "libx264" else {})
        stream.width, stream.height = size
        stream.pix_fmt = "yuv420p"
        stream.codec_context.time_base = TIME_BASE
        stream.codec_context.gop_size = 30
        for seconds, picture in zip(times_s, moving_pictures(len(times_s), *size), strict=True):
            frame = av.VideoFrame.from_ndarray(picture, "bgr24")
            frame.pts, frame.time_base = round(seconds / TIME_BASE), TIME_BASE
            output.mux(stream.encode(frame))
            each()
        output.mux(stream.encode(None))


def transport_stream(rate: float, seconds: float, size: tuple[int, int]) -> list[bytes]:
    """An MPEG transport stream as the bytes of each picture, with times from 0."""
    taken, parts = _ByteBuffer(), list[bytes]()
    times_s = np.arange(round(rate * seconds)) / rate
    encode(taken, times_s.tolist(), size=size, container="mpegts", each=lambda: parts.append(taken.take()))
    parts[-1] += taken.take()
    return parts


class _ByteBuffer(io.RawIOBase):
    def __init__(self) -> None:
        self._held = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, data: bytes) -> int:  # type: ignore[override]
        self._held += data
        return len(data)

    def take(self) -> bytes:
        taken, self._held = bytes(self._held), bytearray()
        return taken


class PacedServer:
    """Accepts connections on loopback, one after the other, and sends each one a list of parts in real time.

    Attributes:
        port: Port of the server.
        filmed_s: Time from the first part to the last, plus one interval: the duration that a recording should have.
    """

    def __init__(
        self, connections: Sequence[Sequence[bytes]], rate: float, *, head: bytes = b"", away_s: float = 0
    ) -> None:
        """Listen on a free port.

        Args:
            connections: Parts for each connection.
            rate: Parts per second.
            head: Sent first on every connection.
            away_s: Pause between the end of a connection and the first part of the next one.
        """
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self._connections, self._rate, self._head, self._away_s = connections, rate, head, away_s
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self.filmed_s = 0.0

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.close()

    def _serve(self) -> None:
        first_s: float | None = None
        waiting = list(self._connections)
        while waiting:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with connection:
                begun_s = self._send(connection, waiting[0])
            if begun_s is None:  # a probe that only checked whether the server listens
                continue
            del waiting[0]
            first_s = begun_s if first_s is None else first_s
            self.filmed_s = time.perf_counter() - first_s
            if waiting:
                time.sleep(self._away_s)

    def _send(self, connection: socket.socket, parts: Sequence[bytes]) -> float | None:
        try:
            connection.sendall(self._head)
            start_s = time.perf_counter()
            for i, part in enumerate(parts):
                time.sleep(max(start_s + i / self._rate - time.perf_counter(), 0))
                connection.sendall(part)
            time.sleep(1 / self._rate)
        except OSError:
            return None
        return start_s


def multipart(pictures: Sequence[NDArray[np.uint8]]) -> tuple[bytes, list[bytes]]:
    """MJPEG over HTTP: the head of the response, and the part of each picture."""
    head = b"HTTP/1.0 200 OK\r\nContent-Type: multipart/x-mixed-replace; boundary=frame\r\n\r\n"
    parts = []
    for picture in pictures:
        data = cv2.imencode(".jpg", picture)[1].tobytes()
        parts.append(b"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n%s\r\n" % (len(data), data))
    return head, parts
