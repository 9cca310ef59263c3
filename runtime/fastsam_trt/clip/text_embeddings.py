"""TextEmbeddings: one embedding per prompt, computed once and then cached in memory and on disk.

A prompt's embedding is the mean of its normalised embeddings in all templates, normalised again: the zero-shot recipe
of CLIP (arXiv 2103.00020) and open_clip.
"""

from __future__ import annotations

import hashlib
import json
import logging
import tempfile
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import cast

import numpy as np
from numpy.typing import NDArray

from fastsam_engine import Session
from fastsam_engine.errors import ClosedError
from fastsam_engine.spec.model_input import TokenInput
from fastsam_engine.store.atomic_files import file_sha256
from fastsam_engine.store.home_folder import NOWHERE
from fastsam_trt.clip.tokenizer import TextTokenizer
from fastsam_trt.masks.batch_ladder import batches, filled

_MOST_IN_MEMORY = 4096  # 8 MB for embeddings of 512 numbers
_MOST_ON_DISK = 20_000  # files of about 2 kB
_PRUNED_EVERY = 500  # saved files

_logger = logging.getLogger(__name__)


class TextEmbeddings:
    """Embeddings of prompts by one text tower. Thread-safe.

    The text tower is opened when a prompt is neither in memory nor on disk. New prompts are embedded for one thread at
    a time, so that two threads with the same prompt compute it once. Where there are too many, the oldest are dropped:
    a service whose clients choose the prompts must not grow.

    Attributes:
        tower_runs: How often the text tower has run.
    """

    def __init__(
        self,
        graph: Path,
        tokenizer: TextTokenizer,
        open_tower: Callable[[], Session],
        folder: Path,
    ) -> None:
        """Create a cache; nothing is loaded yet.

        Args:
            graph: File of the text tower; its hash is part of the keys on disk.
            tokenizer: Tokenises texts for the tower.
            open_tower: Opens the text tower.
            folder: Folder of the embeddings on disk.
        """
        self.tower_runs = 0
        self._graph = graph
        self._tokenizer = tokenizer
        self._open_tower = open_tower
        self._folder = folder
        self._warned = False
        self._tower: Session | None = None
        self._closed = False
        self._model_hash = ""
        self._saved = 0
        self._computing = threading.Lock()
        self._memory: dict[tuple[str, tuple[str, ...]], NDArray[np.float32]] = {}

    def embed(self, prompts: Sequence[str], templates: Sequence[str]) -> NDArray[np.float32]:
        """Embed prompts.

        Args:
            prompts: n texts.
            templates: Texts with `{}` in place of the prompt.

        Returns:
            (n, d) float32, rows of length one.

        Raises:
            ClosedError: `close` was called.
        """
        if self._closed:
            raise ClosedError("the CLIP model")
        key = tuple(templates)
        known = [self._memory.get((prompt, key)) for prompt in prompts]
        if any(embedding is None for embedding in known):
            with self._computing:
                found = self._find(prompts, key)
            known = [found[prompt] for prompt in prompts]
        return np.stack(cast("list[NDArray[np.float32]]", known))

    def close(self) -> None:
        """Close the text tower; `embed` fails from now on, and so may a call that is under way."""
        self._closed = True
        if (tower := self._tower) is not None:
            tower.close()

    def _find(self, prompts: Sequence[str], templates: tuple[str, ...]) -> dict[str, NDArray[np.float32]]:
        """Embeddings of prompts; those that are not in memory are loaded from the disk, or computed."""
        in_memory = {prompt: self._memory.get((prompt, templates)) for prompt in prompts}
        known = {prompt: embedding for prompt, embedding in in_memory.items() if embedding is not None}
        missing = [prompt for prompt in in_memory if prompt not in known]
        if not missing:
            return known
        loaded = {prompt: self._load(self._file(prompt, templates)) for prompt in missing}
        stored = {prompt: embedding for prompt, embedding in loaded.items() if embedding is not None}
        if stored:
            self._tokenize(list(stored), templates)  # to warn of texts that are too long in every run
        new = [prompt for prompt in missing if prompt not in stored]
        computed = dict(zip(new, self._compute(new, templates), strict=True)) if new else {}
        for prompt, embedding in (stored | computed).items():
            self._memory[prompt, templates] = embedding
        for prompt, embedding in computed.items():
            self._save(self._file(prompt, templates), embedding)
        for oldest in list(self._memory)[:-_MOST_IN_MEMORY]:
            del self._memory[oldest]
        return known | stored | computed

    def _tokenize(self, prompts: Sequence[str], templates: Sequence[str]) -> NDArray[np.int64]:
        """Tokenise n prompts in t templates: (n * t, length) int64."""
        return self._tokenizer.tokenize(
            [template.replace("{}", prompt) for prompt in prompts for template in templates]
        )

    def _compute(self, prompts: Sequence[str], templates: Sequence[str]) -> NDArray[np.float32]:
        """Embed n prompts by the text tower: (n, d) float32."""
        ids = self._tokenize(prompts, templates)
        if self._tower is None:
            self._tower = self._open_tower()
            if self._closed:
                self._tower.close()
        tower = self._tower
        tokens, output = cast("TokenInput", tower.spec.input), tower.spec.outputs[0].name
        max_batch = tokens.batch[1] or len(ids)  # a TensorRT plan has a largest batch
        parts = [
            tower.run({tokens.name: filled(ids[part], size)})[output][: part.stop - part.start]
            for part, size in batches(tower, len(ids), max_batch)
        ]
        self.tower_runs += len(parts)
        embeddings = np.concatenate(parts).reshape(len(prompts), len(templates), -1)
        mean: NDArray[np.float32] = embeddings.mean(axis=1, dtype=np.float32)
        unit: NDArray[np.float32] = mean / np.linalg.norm(mean, axis=1, keepdims=True)
        return unit

    def _file(self, prompt: str, templates: tuple[str, ...]) -> Path:
        self._model_hash = self._model_hash or file_sha256(self._graph)
        key = json.dumps([self._model_hash, templates, prompt])
        return self._folder / f"{hashlib.sha256(key.encode()).hexdigest()}.npy"

    def _load(self, path: Path) -> NDArray[np.float32] | None:
        try:
            embedding = np.load(path, allow_pickle=False)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except (OSError, ValueError, EOFError) as error:
            _logger.warning("cached text embedding %s can't be read (%s); computing it again", path, error)
            return None
        return embedding if embedding.ndim == 1 and embedding.dtype == np.float32 else None

    def _save(self, path: Path, embedding: NDArray[np.float32]) -> None:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile(dir=path.parent, suffix=".part", delete=False) as file:
                np.save(file, embedding)
            Path(file.name).replace(path)
            self._saved += 1
            if self._saved % _PRUNED_EVERY == 1:
                with suppress(OSError):  # another process may have removed a file
                    _remove_oldest(path.parent)
        except OSError as error:
            if not self._warned and NOWHERE not in path.parents:  # `home` has warned of that one
                _logger.warning("text embeddings can't be cached in %s (%s)", path.parent, error.strerror)
            self._warned = True


def _remove_oldest(folder: Path) -> None:
    """Remove the oldest embeddings of a folder if there are too many, down to three quarters."""
    files = [path for path in folder.iterdir() if path.suffix == ".npy"]
    if len(files) <= _MOST_ON_DISK:
        return
    files.sort(key=lambda path: path.stat().st_mtime)
    for path in files[: len(files) - _MOST_ON_DISK * 3 // 4]:
        path.unlink(missing_ok=True)
