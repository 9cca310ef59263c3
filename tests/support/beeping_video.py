"""Videos with sound: a flash and a beep, both a tenth of a second long, at each whole second."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np

SECONDS, FPS = 4, 25
RATES = {"libopus": 48_000}


def write_source(path: Path, codec: str, start_s: float = 0.0) -> Path:
    """Write a video of `SECONDS` seconds whose timestamps begin at `start_s`."""
    rate = RATES.get(codec, 44_100)
    with av.open(str(path), "w") as container:
        picture = container.add_stream("libvpx" if path.suffix == ".webm" else "libx264", rate=FPS)
        picture.width, picture.height = 128, 96
        sound = container.add_stream(codec, rate=rate)
        sound.layout = "mono"
        each = rate // FPS
        for index in range(SECONDS * FPS):
            frame = av.VideoFrame.from_ndarray(np.full((96, 128, 3), 255 if index % FPS < 3 else 0, np.uint8), "bgr24")
            frame.pts = index + round(start_s * FPS)
            container.mux(picture.encode(frame))
            at = (np.arange(each) + index * each) / rate
            beep = np.where(at % 1 < 0.12, 0.8 * np.sin(2 * np.pi * 1000 * at), 0)[None].astype(np.float32)
            samples = av.AudioFrame.from_ndarray(beep, "fltp", "mono")
            samples.sample_rate, samples.pts = rate, index * each + round(start_s * rate)
            container.mux(sound.encode(samples))
        container.mux(picture.encode(None))
        container.mux(sound.encode(None))
    return path
