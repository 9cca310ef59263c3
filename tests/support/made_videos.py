"""Small videos of every kind, made with PyAV; each image shows its own number."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

BITS = 10
SIZE = (64, 160)


def numbered(number: int, size: tuple[int, int] = SIZE) -> np.ndarray:
    """An image (H, W, 3) whose upper half shows its number as black and white blocks, over a pattern that moves."""
    height, width = size
    bits = (number >> np.arange(BITS)) & 1
    image = np.random.default_rng(7).integers(60, 190, (height, width, 3), np.uint8)
    image = np.roll(image, number * 3, axis=1)
    columns = np.arange(width) * BITS // width
    image[: height // 2] = (bits[columns] * 255)[None, :, None]
    return image


def number_of(image: np.ndarray) -> int:
    """The number that an image shows."""
    height, width = image.shape[:2]
    blocks = [image[height // 4, int((bit + 0.5) * width / BITS), 0] > 128 for bit in range(BITS)]
    return int(sum(1 << bit for bit, white in enumerate(blocks) if white))


def write_made(
    path: Path,
    images: Iterable[np.ndarray],
    *,
    codec: str = "libx264",
    rate: int = 25,
    pix_fmt: str = "yuv420p",
    times: Sequence[int] | None = None,
    container_options: dict[str, str] | None = None,
    options: dict[str, str] | None = None,
    sound_s: float = 0.0,
    prepare: Callable[[Any], None] = lambda stream: None,
) -> Path:
    """Write images (H, W, 3) BGR as a video.

    Args:
        path: Its suffix chooses the container.
        images: One a frame.
        codec, rate, pix_fmt, options: Of the video.
        times: When each is shown, in ms; None: at the rate.
        container_options: Of the muxer.
        sound_s: Seconds of sound beside them.
        prepare: Called with the video's stream before anything is encoded.
    """
    container = av.open(str(path), "w", container_options=container_options or {})
    with container:
        stream = container.add_stream(codec, rate=rate, options=options or {})
        stream.pix_fmt = pix_fmt
        stream.codec_context.thread_count = 1
        if times is not None:
            stream.codec_context.time_base = Fraction(1, 1000)
        prepare(stream)
        sound = container.add_stream("aac", rate=8000) if sound_s else None
        for index, image in enumerate(images):
            if index == 0:
                stream.height, stream.width = image.shape[:2]
            frame = av.VideoFrame.from_ndarray(image, format="bgr24")
            if times is not None:
                frame.pts, frame.time_base = times[index], Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
        if sound is not None:
            _add_sound(container, sound, sound_s)
    return path


def _add_sound(container: Any, sound: Any, sound_s: float) -> None:
    for start in range(0, int(sound_s * 8000), 1024):
        samples = np.sin(np.arange(start, start + 1024) / 9).astype(np.float32)[None]
        frame = av.AudioFrame.from_ndarray(samples, format="fltp", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = 8000, start, Fraction(1, 8000)
        container.mux(sound.encode(frame))
    container.mux(sound.encode())


def remux(source: Path, path: Path, container_options: dict[str, str] | None = None) -> Path:
    """Copy the streams of a video into another container."""
    with av.open(str(source)) as old, av.open(str(path), "w", container_options=container_options or {}) as new:
        streams = {each.index: new.add_stream_from_template(each) for each in old.streams}
        for packet in old.demux():
            if packet.dts is not None:
                packet.stream = streams[packet.stream_index]
                new.mux(packet)
    return path


def damage(path: Path, seed: int = 0, begin: float = 0.4) -> Path:
    """Overwrite 2 percent of a file's bytes with garbage, in runs spread over 6 percent of it, from a part on."""
    data, generator = bytearray(path.read_bytes()), np.random.default_rng(seed)
    first, width, run = int(len(data) * begin), len(data) * 6 // 100, 64
    for _ in range(len(data) * 2 // 100 // run):
        at = first + int(generator.integers(width - run))
        data[at : at + run] = generator.integers(0, 256, run, np.uint8).tobytes()
    path.write_bytes(data)
    return path


def count_decodable(path: Path) -> int:
    """How many frames FFmpeg's tools decode of a file: they pass over what can't be."""
    count, errors = 0, 0
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        while errors < 1000:
            try:
                for packet in container.demux(stream):
                    if not packet.size:
                        continue
                    try:
                        count += len(packet.decode())
                    except av.error.FFmpegError:
                        errors += 1
                break
            except av.error.FFmpegError:
                errors += 1
            except IndexError:  # streams appeared that were not there at the start
                break
        return count + len(stream.codec_context.decode(None))


def silent_wav() -> bytes:
    """A second of silence: a file of sound alone."""
    file = io.BytesIO()
    with av.open(file, "w", format="wav") as output:
        stream = output.add_stream("pcm_s16le", rate=8000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 8000), np.int16), layout="mono")
        frame.rate = 8000
        output.mux(stream.encode(frame))
    return file.getvalue()
