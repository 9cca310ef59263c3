"""TextTokenizer: tokenise texts for CLIP's text tower."""

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
    """The tokenizer of a `tokenizer.json`, with the padding and truncation of the text tower's spec."""

    def __init__(self, path: Path, tokens: TokenInput) -> None:
        """Load a tokenizer.

        Args:
            path: Its `tokenizer.json`.
            tokens: The text tower's input.

        Raises:
            ModelFileError: The file is missing or is not a tokenizer.
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

    def tokenize(self, texts: Sequence[str]) -> NDArray[np.int64]:
        """Tokenise texts: (n, length) int64, padded at the end.

        Longer texts are truncated before their end-of-text token; a warning names the first of them.
        """
        ids = np.full((len(texts), self._length), self._pad_id, np.int64)
        encodings = self._tokenizer.encode_batch(list(texts))
        truncated = [text for text, encoding in zip(texts, encodings, strict=True) if encoding.overflowing]
        if truncated:
            _logger.warning(
                "CLIP reads only the first %d tokens of a text; this one is longer: %r", self._length, truncated[0]
            )
        for row, encoding in zip(ids, encodings, strict=True):
            row[: len(encoding.ids)] = encoding.ids
        return ids
