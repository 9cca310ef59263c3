"""transformers: panoptic segmentation by DETR, then CLIP on the box of each segment, both as in its documentation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from answer import Answer, boxes_of
from numpy.typing import NDArray
from torch_clip import TorchClip
from worker_protocol import serve
from worker_tools import as_pillow, read_frame, use_all_cores


class DetrClip:
    """One segment of a picture, by text."""

    def open(self, **options: Any) -> str:
        """Open the models; options: detr and clip (folders), prompt, device, size (height, width), kept (queries)."""
        import transformers

        use_all_cores()
        self._options = options
        self._device: str = options["device"]
        folder = Path(options["detr"])
        self._model = transformers.DetrForSegmentation.from_pretrained(folder).to(self._device).eval()
        self._processor = transformers.DetrImageProcessor.from_pretrained(folder)
        self._clip = TorchClip(Path(options["clip"]), self._device)
        return f"the threshold keeps {options['kept']} queries; CLIP loaded once"

    def show(self, path: Path, **options: Any) -> None:
        """Read the picture, and find the threshold that keeps the most confident queries."""
        del options  # the model has a fixed size
        self._frame = read_frame(path)
        classes = self._segment().logits[0].softmax(-1)
        scores = classes[:, :-1].max(-1).values[classes.argmax(-1) < classes.shape[-1] - 1].sort(descending=True).values
        kept: int = self._options["kept"]
        if len(scores) <= kept:
            raise ValueError(f"expected more than {kept} queries with an object, found {len(scores)}")
        self._threshold = float((scores[kept - 1] + scores[kept]) / 2)

    def call(self) -> tuple[NDArray[np.int32], list[dict[str, Any]], int]:
        """Segment and choose by CLIP; returns the map of ids, their descriptions, and the chosen index."""
        made = self._processor.post_process_panoptic_segmentation(
            self._segment(), threshold=self._threshold, target_sizes=[self._frame.shape[:2]]
        )[0]
        ids, described = made["segmentation"].cpu().numpy(), made["segments_info"]
        if not described:
            return ids, described, -1
        picture = as_pillow(self._frame)
        boxes = boxes_of(np.stack([ids == each["id"] for each in described])).astype(int)
        crops = [picture.crop(tuple(box)) for box in boxes.tolist()]
        return ids, described, int(self._clip.similarities(crops, self._options["prompt"]).argmax())

    def answer(self, made: tuple[NDArray[np.int32], list[dict[str, Any]], int]) -> Answer:
        """All segments, and the chosen one."""
        ids, described, chosen = made
        masks = np.zeros((len(described), *ids.shape), np.bool_)
        for mask, each in zip(masks, described, strict=True):
            mask[:] = ids == each["id"]
        scores = np.array([each["score"] for each in described], np.float32)
        classes = np.array([each["label_id"] for each in described], np.int32)
        return Answer(boxes_of(masks), scores, classes, masks, chosen)

    def embed(self, windows: NDArray[np.intp], texts: list[str]) -> dict[str, NDArray[np.float32]]:
        """CLIP embeddings of windows of the picture, and of texts."""
        return self._clip.embeddings(as_pillow(self._frame), windows, texts)

    def _segment(self) -> Any:
        import torch

        height, width = self._options["size"]
        rgb = np.ascontiguousarray(self._frame[..., ::-1])
        size = {"height": height, "width": width}
        pixels = self._processor(images=rgb, size=size, return_tensors="pt", input_data_format="channels_last")
        with torch.inference_mode():
            return self._model(pixel_values=pixels["pixel_values"].to(self._device))


if __name__ == "__main__":
    serve(DetrClip(), "transformers")
