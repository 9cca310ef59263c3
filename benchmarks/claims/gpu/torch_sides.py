"""The sides of `main.py` in PyTorch, in the usual way: every mask is decoded and every box is embedded."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from claims.common import harness, seeded_weights
from claims.gpu.sides import PROMPT, Batched, Found, Frames, Side, no_part

# isort: split
import numpy as np
from numpy.typing import NDArray

from fastsam_engine import find_graph, open_session
from fastsam_engine.session import Array
from fastsam_trt.masks.mask_source import paste
from fastsam_trt.segmentation.families import Thresholds, decoder_for


class UsualClip:
    """CLIP in transformers, as users of FastSAM use it: every box is cropped, crops and text are embedded per frame."""

    def __init__(self, folder: Path, device: str, *, half: bool) -> None:
        harness.require("torch", "transformers")
        import torch
        import transformers

        transformers.utils.logging.disable_progress_bar()
        self._device, self._dtype = device, torch.float16 if half else torch.float32
        self._model = transformers.CLIPModel.from_pretrained(folder).to(device, self._dtype).eval()
        self._processor = transformers.CLIPImageProcessor.from_pretrained(folder)
        self._tokenizer = transformers.AutoTokenizer.from_pretrained(folder)

    def choose(self, frame: NDArray[np.uint8], boxes: NDArray[np.float32]) -> int:
        """Index of the box, of (n, 4), that matches the prompt best; -1 without boxes."""
        import torch

        if not len(boxes):
            return -1
        text = self._tokenizer([PROMPT], return_tensors="pt").to(self._device)
        with torch.inference_mode():
            texts = _embeddings(self._model.get_text_features(**text))
            images = _embeddings(self._model.get_image_features(pixel_values=self.pixels(frame, boxes)))
            return int((images @ texts.T)[:, 0].argmax())

    def pixels(self, frame: NDArray[np.uint8], boxes: NDArray[Any]) -> Any:
        """The input of the model for the contents of boxes (n, 4), on the device."""
        rgb, limits = frame[..., ::-1], np.array(frame.shape[1::-1])
        low = np.clip(boxes[:, :2].astype(int), 0, limits - 1)
        high = np.clip(np.ceil(boxes[:, 2:]).astype(int), low + 1, limits)
        rows = np.concatenate([low, high], axis=1).tolist()
        crops = [np.ascontiguousarray(rgb[y0:y1, x0:x1]) for x0, y0, x1, y1 in rows]
        made = self._processor(images=crops, input_data_format="channels_last", return_tensors="pt")["pixel_values"]
        return made.to(self._device, self._dtype)

    def embed(self, pixels: Any) -> NDArray[np.float32]:
        """Embeddings (n, d), rows of length one."""
        import torch

        with torch.inference_mode():
            made = _embeddings(self._model.get_image_features(pixel_values=pixels))
        return np.asarray(made.float().cpu().numpy(), np.float32)


class Torch(Side):
    """The base class of the two sides in PyTorch: CLIP, and waiting for the device."""

    def __init__(self, clip: Callable[[], Path], imgsz: int, device: str, *, half: bool) -> None:
        self._device, self._half, self._imgsz = device, half and device != "cpu", imgsz
        self.precision = "fp16" if self._half else "fp32"
        self._clip_folder = clip
        self._clip: UsualClip | None = None
        self._asks_clip, self._conf = False, 0.0

    def prepare(self, conf: float, *, clip: bool) -> None:
        self._conf, self._asks_clip = conf, clip
        if clip and self._clip is None:
            self._clip = UsualClip(self._clip_folder(), self._device, half=self._half)

    def networks(self, frames: Frames) -> Callable[[], object]:
        import torch

        runs = [self._network(frames)]
        if self._asks_clip and (clip := self._clip) is not None:
            for frame, (boxes, _) in zip(frames, self(frames), strict=True):
                runs.append(partial(clip.embed, clip.pixels(frame, boxes)))

        def call() -> None:
            with torch.inference_mode():
                for run in runs:
                    run()
            self._wait()

        return call

    def embed(self, frame: NDArray[np.uint8], windows: NDArray[np.intp]) -> NDArray[np.float32]:
        if self._clip is None:
            raise harness.BenchmarkError("expected an open CLIP, found none")
        return self._clip.embed(self._clip.pixels(frame, windows))

    @abstractmethod
    def _network(self, frames: Frames) -> Callable[[], object]:
        """A run of the segmenter's network on inputs that are on the device. It need not wait for the result."""

    def _choose(self, frames: Frames, found: Found) -> Found:
        if self._asks_clip and self._clip is not None:
            for frame, (boxes, _) in zip(frames, found, strict=True):
                self._clip.choose(frame, boxes)
        self._wait()
        return found

    def _wait(self) -> None:
        import torch

        if self._device != "cpu":
            torch.cuda.synchronize()


class Ultralytics(Torch):
    """The whole call of ultralytics, with all masks at the size of the frame."""

    def __init__(
        self, weights: Path, clip: Callable[[], Path], imgsz: int, device: str, iou: float, *, half: bool
    ) -> None:
        super().__init__(clip, imgsz, device, half=half)
        self._yolo, self._iou = seeded_weights.load_ultralytics(weights), iou

    def __call__(self, frames: Frames) -> Found:
        answers = self._yolo.predict(
            list(frames), conf=self._conf, iou=self._iou, max_det=self.most, imgsz=self._imgsz, half=self._half,
            device=self._device, retina_masks=True, verbose=False,
        )  # fmt: skip
        boxes = [answer.boxes for answer in answers]
        return self._choose(
            frames, [(each.xyxy.cpu().numpy(), each.cls.cpu().numpy().astype(np.int32)) for each in boxes]
        )

    def _network(self, frames: Frames) -> Callable[[], object]:
        self(frames)  # creates the predictor
        predictor = self._yolo.predictor
        images = predictor.preprocess(list(frames))
        return lambda: predictor.model(images)


class Scripted(Torch):
    """The same network as TorchScript with our own steps around it, for a machine without ultralytics."""

    def __init__(
        self, graph: Path, script: Path, clip: Callable[[], Path], imgsz: int, device: str, *, half: bool
    ) -> None:
        """Open `script`, which has the same network as our export `graph`."""
        super().__init__(clip, imgsz, device, half=half)
        harness.require("torch")
        import torch

        session = open_session(find_graph(graph), "onnxruntime", "cpu")  # only for its spec; it is not run
        self._spec = session.spec
        self._batched = Batched(self._spec, decoder_for(session, no_part), imgsz)
        self._dtype = torch.float16 if self._half else torch.float32
        self._script = torch.jit.load(str(script), map_location=device).to(self._dtype).eval()

    def __call__(self, frames: Frames) -> Found:
        import torch

        inputs, letterboxes = self._batched.inputs(frames)
        with torch.inference_mode():
            made = self._script(self._put(inputs))
        names = [output.name for output in self._spec.outputs]
        outputs = {name: each.float().cpu().numpy() for name, each in zip(names, made, strict=True)}
        thresholds = Thresholds(self._conf, self._spec.defaults["iou"], self.most)
        found = self._batched.decode(outputs, letterboxes, thresholds)
        for frame, segments in zip(frames, found, strict=True):
            paste(segments.masks.decode(range(len(segments))), *frame.shape[:2])
        return self._choose(frames, [(segments.boxes, segments.class_ids) for segments in found])

    def _network(self, frames: Frames) -> Callable[[], object]:
        images = self._put(self._batched.inputs(frames)[0])
        return lambda: self._script(images)

    def _put(self, inputs: Mapping[str, Array]) -> Any:
        import torch

        (array,) = inputs.values()
        return torch.from_numpy(array).to(self._device, self._dtype)


def _embeddings(made: Any) -> Any:
    """What transformers' features give, in its older form and its newer, brought to length one."""
    features = getattr(made, "pooler_output", made)
    return features / features.norm(dim=-1, keepdim=True)
