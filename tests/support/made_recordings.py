"""Recordings of made images, through the sink that the command uses."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import av
import numpy as np

from fastsam_trt.sinks import VideoSink
from fastsam_trt.sources import Frame

SECONDS, FPS = 4, 25  # of `write_source`
_RATES = {"libopus": 48_000}
_KILLED = """
import os, signal, sys
from pathlib import Path
from support.made_recordings import record
record(Path(sys.argv[1]), 25, [index / 25 for index in range(100)], sound=None,
       after=lambda: os.kill(os.getpid(), signal.SIGKILL))
"""


class _Raw:
    """Shows images as they are, where the sink expects results."""

    def of(self, result: np.ndarray) -> np.ndarray:
        return result


RAW = _Raw()


def image_of(index: int, height: int = 96, width: int = 128) -> np.ndarray:
    """An image (H, W, 3) uint8 BGR whose grey tells its index."""
    image = np.full((height, width, 3), 40 + index % 100 * 2, np.uint8)
    image[:, : width // 2] //= 2
    return image


def record(
    path: Path,
    fps: float | None,
    times: Sequence[float | None],
    *,
    images: Sequence[np.ndarray] | None = None,
    sound: Path | None = None,
    after: Callable[[], object] | None = None,
) -> Path:
    """Record one image for each media time, s; `after` is called before the file is closed."""
    with VideoSink(path, fps, RAW, sound) as sink:
        for index, time_s in enumerate(times):
            image = image_of(index) if images is None else images[index]
            sink.write(Frame(image, index, "made", media_s=time_s), image)
        if after is not None:
            after()
    return path


def write_source(path: Path, codec: str, start_s: float = 0.0) -> Path:
    """A video that flashes and beeps for a tenth of a second, each second."""
    rate = _RATES.get(codec, 44_100)
    with av.open(str(path), "w") as container:
        image = container.add_stream("libvpx" if path.suffix == ".webm" else "libx264", rate=FPS)
        image.width, image.height = 128, 96
        sound = container.add_stream(codec, rate=rate)
        sound.layout = "mono"
        each = rate // FPS
        for index in range(SECONDS * FPS):
            frame = av.VideoFrame.from_ndarray(np.full((96, 128, 3), 255 if index % FPS < 3 else 0, np.uint8), "bgr24")
            frame.pts = index + round(start_s * FPS)
            container.mux(image.encode(frame))
            at = (np.arange(each) + index * each) / rate
            beep = np.where(at % 1 < 0.12, 0.8 * np.sin(2 * np.pi * 1000 * at), 0)[None].astype(np.float32)
            samples = av.AudioFrame.from_ndarray(beep, "fltp", "mono")
            samples.sample_rate, samples.pts = rate, index * each + round(start_s * rate)
            container.mux(sound.encode(samples))
        container.mux(image.encode(None))
        container.mux(sound.encode(None))
    return path


def killed(path: Path) -> Path:
    """A recording of 100 frames whose process was killed after the last."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", _KILLED, path], env=environment, check=False)
    assert done.returncode == -signal.SIGKILL
    return path
