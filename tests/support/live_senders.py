"""Senders of live streams on loopback, and images that show their number."""

from __future__ import annotations

import itertools
import socket
import subprocess
import threading
import time
from collections.abc import Callable
from typing import Any, Self

import numpy as np

from fastsam_trt import open_source
from fastsam_trt.errors import SourceNotFoundError
from fastsam_trt.sources import Frame, Source

BITS = 10
WIDTH, HEIGHT = 320, 96


def numbered(number: int, width: int = WIDTH, height: int = HEIGHT) -> np.ndarray:
    """An image that shows its number as ten black or white bars."""
    bits = (number >> np.arange(BITS)) & 1
    return np.kron(bits, np.full((height, width // BITS), 255)).astype(np.uint8)[..., None].repeat(3, axis=2)


def read_number(image: np.ndarray) -> int:
    height, width = image.shape[:2]
    bars = image[height // 2, width // BITS // 2 :: width // BITS, 0] > 128
    return int(bars @ (1 << np.arange(BITS)))


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


def images(first: int, last: int) -> list[np.ndarray]:
    return [numbered(i) for i in range(first, last)]


def shown(frames: list[Frame]) -> list[tuple[int, int]]:
    return [(frame.index, read_number(frame.image)) for frame in frames]


def open_captures() -> int:
    """How many cameras and streams are held open."""
    return sum(thread.name == "source capture" for thread in threading.enumerate())


class Server:
    """Accepts connections on loopback and hands each, with its number, to a function; closes it after that."""

    def __init__(self, serve: Callable[[socket.socket, int], None]) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._serve = serve
        self._threads = [threading.Thread(target=self._accept)]
        self.connections = 0

    def __enter__(self) -> Self:
        self._threads[0].start()
        return self

    def _accept(self) -> None:
        for number in itertools.count():
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            self._threads.append(threading.Thread(target=self._run, args=(connection, number)))
            self._threads[-1].start()

    def _run(self, connection: socket.socket, number: int) -> None:
        with connection:
            try:
                self._serve(connection, number)
            except OSError:  # the other side has left
                return

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join()


CODEC = ("-c:v", "mpeg4", "-q:v", "2", "-g", "5", "-bf", "0", "-f", "mpegts")


class Sender:
    """An ffmpeg that sends numbered images to the first who connects, 60 a second, from a number on."""

    def __init__(self, port: int, first: int, size: tuple[int, int] = (WIDTH, HEIGHT)) -> None:
        image = ("-f", "rawvideo", "-pix_fmt", "bgr24", "-s", "{}x{}".format(*size), "-r", "60", "-i", "-")
        address = f"tcp://127.0.0.1:{port}?listen=1"
        self.process = subprocess.Popen(
            ["ffmpeg", "-loglevel", "quiet", *image, *CODEC, "-flush_packets", "1", "-muxdelay", "0", address],
            stdin=subprocess.PIPE,
        )
        self._ended = threading.Event()
        self._feeder = threading.Thread(target=self._feed, args=(first, size))
        self._feeder.start()

    def _feed(self, first: int, size: tuple[int, int]) -> None:
        assert self.process.stdin is not None
        try:
            for number in itertools.count(first):
                if self._ended.wait(1 / 60):
                    break
                self.process.stdin.write(numbered(number, *size).tobytes())
                self.process.stdin.flush()
            self.process.stdin.close()
        except OSError:  # ffmpeg was killed
            return

    def kill(self) -> None:
        self._ended.set()
        self.process.kill()
        self.process.wait()
        self._feeder.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()


def connect(port: int, **options: Any) -> Source:
    """Open the stream as soon as its sender listens."""
    for _ in range(100):
        try:
            return open_source(f"tcp://127.0.0.1:{port}", **options)
        except SourceNotFoundError:
            time.sleep(0.05)
    raise AssertionError("the sender never listened")


def transport_stream(first: int, n: int, size: tuple[int, int]) -> bytes:
    image = ("-f", "rawvideo", "-pix_fmt", "bgr24", "-s", "{}x{}".format(*size), "-r", "60", "-i", "-")
    raw = b"".join(numbered(number, *size).tobytes() for number in range(first, first + n))
    command = ["ffmpeg", "-loglevel", "error", *image, *CODEC, "-"]
    return subprocess.run(command, input=raw, stdout=subprocess.PIPE, check=True).stdout


def send(connection: socket.socket, stream: bytes, seconds: float) -> None:
    parts = 100
    for i in range(parts):
        connection.sendall(stream[len(stream) * i // parts : len(stream) * (i + 1) // parts])
        time.sleep(seconds / parts)
