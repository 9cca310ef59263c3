"""Tokens: texts to ids, as the model's own tokenizer makes them."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from fastsam_engine.errors import ModelFileError
from fastsam_engine.spec.model_input import TokenInput

_logger = logging.getLogger(__name__)


class TextTokenizer:
    """A `tokenizer.json`, with the padding and the cut that the text tower's spec asks for."""

    def __init__(self, path: Path, tokens: TokenInput) -> None:
        """Read a tokenizer.

        Raises:
            ModelFileError: The file is missing or no tokenizer.
        """
        if not path.is_file():
            raise ModelFileError(path, "expected the CLIP model's tokenizer, found no file")
        try:
            self._tokenizer = Tokenizer.from_file(str(path))
        except Exception as error:  # the library raises plain Exception
            raise ModelFileError(path, f"expected a tokenizer, found {error}") from error
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(tokens.length)
        self._length = tokens.length
        self._pad_id = tokens.pad_id

    def __call__(self, texts: Sequence[str]) -> NDArray[np.int64]:
        """Tokenise texts: (n, length) int64, padded at the end.

        Longer texts are cut and keep their last token; a warning names the first of them.
        """
        ids = np.full((len(texts), self._length), self._pad_id, np.int64)
        encodings = self._tokenizer.encode_batch(list(texts))
        cut = [text for text, encoding in zip(texts, encodings, strict=True) if encoding.overflowing]
        if cut:
            _logger.warning(
                "CLIP reads the first %d tokens of a text only; this one is longer: %r", self._length, cut[0]
            )
        for row, encoding in zip(ids, encodings, strict=True):
            row[: len(encoding.ids)] = encoding.ids
        return ids
