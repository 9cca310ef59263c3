"""Text features: one embedding a prompt, computed once, then kept in memory and on disk.

A prompt's embedding is the mean over the templates of its normalised embeddings, normalised again (the zero-shot
recipe of CLIP, arXiv 2103.00020, and open_clip). The text tower is opened only when something is not yet on disk.
"""

from __future__ import annotations

import hashlib
import json
import logging
import tempfile
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import cast

import numpy as np
from numpy.typing import NDArray

from fastsam_engine import Session
from fastsam_engine.errors import ClosedError
from fastsam_engine.spec.model_input import TokenInput
from fastsam_engine.store.file_hash import file_sha256
from fastsam_engine.store.home_folder import NOWHERE
from fastsam_trt.masks.batch_ladder import batches, filled

_logger = logging.getLogger(__name__)


class TextEmbeddings:
    """Embeddings of prompts for one text tower.

    Any thread may ask. Prompts that are known are given at once; prompts that are not are computed for one thread at a
    time, so that two that ask for the same one pay once.

    Attributes:
        tower_runs: How often the text tower has run.
    """

    def __init__(
        self,
        graph: Path,
        tokenize: Callable[[Sequence[str]], NDArray[np.int64]],
        open_tower: Callable[[], Session],
        folder: Path,
    ) -> None:
        """Prepare; nothing is loaded yet.

        Args:
            graph: The text tower's file; its hash is part of the key on disk.
            tokenize: Texts to (n, length) int64 ids.
            open_tower: Opens the text tower.
            folder: Where embeddings are kept.
        """
        self.tower_runs = 0
        self._graph = graph
        self._tokenize = tokenize
        self._open_tower = open_tower
        self._folder = folder
        self._told = False
        self._tower: Session | None = None
        self._closed = False
        self._model_hash = ""
        self._computing = threading.Lock()
        self._memory: dict[tuple[str, tuple[str, ...]], NDArray[np.float32]] = {}

    def embed(self, prompts: Sequence[str], templates: Sequence[str]) -> NDArray[np.float32]:
        """Embed prompts.

        Args:
            prompts: n texts.
            templates: Texts with `{}` where the prompt goes.

        Returns:
            (n, d) float32, each row of length one.

        Raises:
            ClosedError: `close` was called.
        """
        if self._closed:
            raise ClosedError("the CLIP model")
        shape = tuple(templates)
        known = [self._memory.get((prompt, shape)) for prompt in prompts]
        if any(each is None for each in known):
            with self._computing:
                self._learn(prompts, shape)
            known = [self._memory[prompt, shape] for prompt in prompts]
        return np.stack(cast("list[NDArray[np.float32]]", known))

    def close(self) -> None:
        """Give the text tower back; nothing can be embedded from now on. A prompt that is being computed may fail."""
        self._closed = True
        if (tower := self._tower) is not None:
            tower.close()

    def _learn(self, prompts: Sequence[str], shape: tuple[str, ...]) -> None:
        """Take prompts that are not in memory from the disk, or compute them."""
        missing = [prompt for prompt in dict.fromkeys(prompts) if (prompt, shape) not in self._memory]
        if not missing:
            return
        stored = {prompt: self._load(self._file(prompt, shape)) for prompt in missing}
        found = {prompt: features for prompt, features in stored.items() if features is not None}
        if found:
            self._ids(list(found), shape)  # so that a text that is too long is named in every run
        new = [prompt for prompt in missing if prompt not in found]
        computed = dict(zip(new, self._compute(new, shape), strict=True)) if new else {}
        for prompt, features in (found | computed).items():
            self._memory[prompt, shape] = features
        for prompt, features in computed.items():
            self._save(self._file(prompt, shape), features)

    def _ids(self, prompts: Sequence[str], templates: Sequence[str]) -> NDArray[np.int64]:
        """The tokens of n prompts in t templates, (n * t, length)."""
        return self._tokenize([template.replace("{}", prompt) for prompt in prompts for template in templates])

    def _compute(self, prompts: Sequence[str], templates: Sequence[str]) -> NDArray[np.float32]:
        """Embed n prompts in templates: (n, d)."""
        ids = self._ids(prompts, templates)
        if self._tower is None:
            self._tower = self._open_tower()
            if self._closed:
                self._tower.close()
        tower = self._tower
        taken, given = cast("TokenInput", tower.spec.input), tower.spec.outputs[0].name
        most = taken.batch[1] or len(ids)  # a plan is built for a largest batch
        parts = [
            tower.run({taken.name: filled(ids[part], size)})[given][: part.stop - part.start]
            for part, size in batches(tower, len(ids), most)
        ]
        self.tower_runs += len(parts)
        features = np.concatenate(parts).reshape(len(prompts), len(templates), -1)
        mean: NDArray[np.float32] = features.mean(axis=1, dtype=np.float32)
        unit: NDArray[np.float32] = mean / np.linalg.norm(mean, axis=1, keepdims=True)
        return unit

    def _file(self, prompt: str, templates: tuple[str, ...]) -> Path:
        self._model_hash = self._model_hash or file_sha256(self._graph)
        key = json.dumps([self._model_hash, templates, prompt])
        return self._folder / f"{hashlib.sha256(key.encode()).hexdigest()}.npy"

    def _load(self, path: Path) -> NDArray[np.float32] | None:
        try:
            features = np.load(path, allow_pickle=False)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except (OSError, ValueError, EOFError) as error:
            _logger.warning("text features %s can't be read (%s); computing them again", path, error)
            return None
        return features if features.ndim == 1 and features.dtype == np.float32 else None

    def _save(self, path: Path, features: NDArray[np.float32]) -> None:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile(dir=path.parent, suffix=".part", delete=False) as file:
                np.save(file, features)
            Path(file.name).replace(path)
        except OSError as error:
            if not self._told and NOWHERE not in path.parents:  # which `home` has told of
                _logger.warning("text features can't be kept in %s (%s)", path.parent, error.strerror)
            self._told = True
