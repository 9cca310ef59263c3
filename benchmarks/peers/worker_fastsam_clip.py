"""FastSAM with CLIP: the steps of the text prompt of the official repository, implemented again.

1. Everything is segmented, every mask is decoded at the size of the picture, and copied to the host one by one.
2. For each mask over 100 px the part of the picture in its box is put on a white canvas of the size of the picture.
3. CLIP embeds each canvas and the text. The segment with the largest softmax is the result; there is always one.

In the official repository CLIP is loaded on each call. Here it is loaded once, which favours the peer.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from answer import Answer, boxes_of
from numpy.typing import NDArray
from torch_clip import TorchClip
from torch_yolo import as_answer, open_yolo
from worker_protocol import serve
from worker_tools import as_pillow, read_frame, use_all_cores

_LEAST_PX = 100


class FastSamClip:
    """One segment of a picture, by text."""

    def open(self, **options: Any) -> str:
        """Open the models; options: weights, clip (a folder in transformers' format), prompt, device, conf, iou."""
        self._options = options
        self._yolo = open_yolo(Path(options["weights"]))
        self._clip = TorchClip(Path(options["clip"]), options["device"])
        return "the official repository's steps, CLIP loaded once"

    def show(self, path: Path, **options: Any) -> None:
        """Read the picture; `input` is the (height, width) of its rectangle in the network."""
        self._frame = read_frame(path)
        self._imgsz = max(options["input"])
        self.call()  # the first call chooses the device and the number of threads
        use_all_cores()

    def call(self) -> tuple[Any, int, NDArray[np.bool_] | None]:
        """Segment and choose by CLIP; returns the result of the segmenter, the chosen index, and its mask."""
        device, half = self._options["device"], self._options["device"] != "cpu"
        made = self._yolo.predict(
            self._frame, imgsz=self._imgsz, conf=self._options["conf"], iou=self._options["iou"], device=device,
            half=half, retina_masks=True, verbose=False,
        )[0]  # fmt: skip
        count = 0 if made.masks is None else len(made.masks.data)
        masks = [(made.masks.data[index] == 1).cpu().numpy() for index in range(count)]
        large = [index for index, mask in enumerate(masks) if mask.sum() > _LEAST_PX]
        if not large:
            return made, -1, None
        picture = as_pillow(self._frame)
        canvases = [_on_white(picture, masks[index]) for index in large]
        chosen = large[int(self._clip.similarities(canvases, self._options["prompt"]).argmax())]
        return made, chosen, masks[chosen]

    def answer(self, made: tuple[Any, int, NDArray[np.bool_] | None]) -> Answer:
        """All segments, and the chosen one."""
        return as_answer(made[0].cpu(), made[1])

    def embed(self, windows: NDArray[np.intp], texts: list[str]) -> dict[str, NDArray[np.float32]]:
        """Of parts of the picture themselves, without a canvas."""
        return self._clip.embeddings(as_pillow(self._frame), windows, texts)


def _on_white(picture: Any, mask: NDArray[np.bool_]) -> Any:
    """The part of a picture in a mask's box, at its place on a white canvas of the picture's size."""
    from PIL import Image

    box = tuple(boxes_of(mask[None])[0].astype(int).tolist())
    canvas = Image.new("RGB", picture.size, (255, 255, 255))
    canvas.paste(picture.crop(box), box)
    return canvas


if __name__ == "__main__":
    serve(FastSamClip(), "fastsam-clip")
