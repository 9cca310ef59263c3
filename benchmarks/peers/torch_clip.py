"""CLIP in PyTorch, with pictures preprocessed as by OpenAI's package: resized by pillow, centre-cropped, normalised."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

_MEAN = (0.48145466, 0.4578275, 0.40821073)
_STD = (0.26862954, 0.26130258, 0.27577711)
_SIDE_PX = 224


class TorchClip:
    """Both towers, loaded once; texts are encoded on every call."""

    def __init__(self, folder: Path, device: str) -> None:
        """Open a checkpoint in transformers' format."""
        import torch
        import transformers
        from torchvision import transforms

        transformers.utils.logging.disable_progress_bar()
        self._device = device
        self._dtype = torch.float32 if device == "cpu" else torch.float16  # as in OpenAI's package
        self._model = transformers.CLIPModel.from_pretrained(folder).to(device, self._dtype).eval()
        self._tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
        self._prepare = transforms.Compose(
            [
                transforms.Resize(_SIDE_PX, interpolation=transforms.InterpolationMode.BICUBIC),
                transforms.CenterCrop(_SIDE_PX),
                transforms.ToTensor(),
                transforms.Normalize(_MEAN, _STD),
            ]
        )

    def pictures(self, pictures: list[Any]) -> Any:
        """Embed pillow's pictures: (n, d), rows of length one."""
        import torch

        prepared = torch.stack([self._prepare(picture) for picture in pictures]).to(self._device, self._dtype)
        with torch.inference_mode():
            return _unit(self._model.get_image_features(pixel_values=prepared))

    def texts(self, texts: list[str]) -> Any:
        """Embed texts: (n, d), rows of length one."""
        import torch

        tokens = self._tokenizer(texts, return_tensors="pt", padding=True).to(self._device)
        with torch.inference_mode():
            return _unit(self._model.get_text_features(**tokens))

    def similarities(self, pictures: list[Any], text: str) -> NDArray[np.float32]:
        """How well each of n pictures matches a text: a softmax over the pictures, (n,)."""
        logits = 100.0 * self.pictures(pictures) @ self.texts([text]).T
        return np.asarray(logits[:, 0].softmax(dim=0).float().cpu().numpy(), np.float32)

    def embeddings(self, picture: Any, windows: NDArray[np.intp], texts: list[str]) -> dict[str, NDArray[np.float32]]:
        """Embeddings of windows (n, 4), xyxy, of a picture, and of texts."""
        crops = [picture.crop(tuple(window)) for window in windows.tolist()]
        made = {"crops": self.pictures(crops), "texts": self.texts(texts)}
        return {name: each.float().cpu().numpy() for name, each in made.items()}


def _unit(made: Any) -> Any:
    features = getattr(made, "pooler_output", made)  # transformers' newer form, and its older
    return features / features.norm(dim=-1, keepdim=True)
