"""TokenizerFiles: the tokenizer of a repository, as the runtime uses it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fastsam_engine.session import Array
from fastsam_engine.spec.model_input import TokenInput
from fastsam_export.adopt.repository import Repository
from fastsam_export.errors import AdoptionError
from fastsam_export.parity import TEXTS

if TYPE_CHECKING:
    from tokenizers import Tokenizer


class TokenizerFiles:
    """The tokenizer of a repository: `tokenizer.json`, `tokenizer_config.json`, `special_tokens_map.json`."""

    def __init__(self, repository: Repository) -> None:
        """Load it.

        Raises:
            AdoptionError: A file is missing or can't be read, or texts are padded on the left.
        """
        from tokenizers import Tokenizer

        self._path = repository.folder / "tokenizer.json"
        self._stated = [
            repository.settings(name)
            for name in ("tokenizer_config.json", "special_tokens_map.json")
            if (repository.folder / name).is_file()
        ]
        if not self._path.is_file():
            raise AdoptionError(self._path, "expected it beside the graphs, found no such file")
        try:
            self._tokenizer: Tokenizer = Tokenizer.from_file(str(self._path))
        except Exception as error:  # the library raises plain Exception
            raise AdoptionError(self._path, f"expected a tokenizer, found {error}") from error
        self._padding: dict[str, Any] = self._tokenizer.padding or {}
        side = self._setting("padding_side") or self._padding.get("direction") or "right"
        if side != "right":
            raise AdoptionError(self._path, f"expected texts padded on the right, found {side}")

    @property
    def kind(self) -> str:
        """The class of transformers that reads it; empty if the settings do not say."""
        return str(self._setting("tokenizer_class") or "")

    def lowercase(self) -> None:
        """Make it lower-case texts first, unless it does already."""
        from tokenizers import normalizers

        normalizer = self._tokenizer.normalizer
        if normalizer is not None and b'"Lowercase"' in normalizer.__getstate__():
            return
        steps = [normalizers.Lowercase(), *([] if normalizer is None else [normalizer])]
        self._tokenizer.normalizer = normalizers.Sequence(steps)

    def input(self, name: str, length: int) -> TokenInput:
        """The input of the text tower.

        Args:
            name: Its name in the graph.
            length: Tokens per text.

        Raises:
            AdoptionError: The settings do not say how texts are padded.
        """
        return TokenInput(name, length, self._pad_id())

    def examples(self, tokens: TokenInput) -> Array:
        """Token ids of a few texts, to compare graphs on: (n, length) int64."""
        self._tokenizer.enable_truncation(tokens.length)
        self._tokenizer.enable_padding(pad_id=tokens.pad_id, length=tokens.length)
        return np.array([encoding.ids for encoding in self._tokenizer.encode_batch(list(TEXTS))], np.int64)

    def save(self, path: Path) -> None:
        """Write the `tokenizer.json` of the model; the runtime truncates and pads by the spec."""
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        self._tokenizer.save(str(path), pretty=False)

    def _pad_id(self) -> int:
        token = self._setting("pad_token")
        if isinstance(token, dict):
            token = token.get("content")
        if token is None:
            found = self._padding.get("pad_id")
            if isinstance(found, int):
                return found
            raise AdoptionError(self._path, "expected a pad_token in tokenizer_config.json, found none")
        found = self._tokenizer.token_to_id(str(token))
        if found is None:
            raise AdoptionError(self._path, f"expected the pad_token {token!r} in its vocabulary, found none")
        return found

    def _setting(self, key: str) -> Any:
        return next((stated[key] for stated in self._stated if stated.get(key) is not None), None)
