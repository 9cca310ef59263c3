"""Adopt a model with two towers, such as CLIP: image tower, text tower and tokenizer."""

from __future__ import annotations

import tempfile
from abc import abstractmethod
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import ClassVar

from fastsam_engine.session import Array
from fastsam_engine.spec.model_input import ImageInput, TokenInput
from fastsam_engine.spec.model_spec import ModelSpec
from fastsam_export.adopt.comparison import prove_adopted
from fastsam_export.adopt.hub_files import TOWERS, WHOLE
from fastsam_export.adopt.image_processor import ImageProcessor, ProcessorDefaults
from fastsam_export.adopt.original import Original
from fastsam_export.adopt.ready_family import AdoptionRequest, ReadyFamily
from fastsam_export.adopt.repository import Repository
from fastsam_export.adopt.tokenizer_files import TokenizerFiles
from fastsam_export.adopt.tower import PIXELS, TOKENS, Examples, Tower
from fastsam_export.errors import AdoptionError
from fastsam_export.family import Exported
from fastsam_export.helper_graphs import export_helpers
from fastsam_export.parity import drawn_batches

_MOST_TOKENS = 1 << 12


class TwoTowers(ReadyFamily):
    """A family of models with two towers, in one graph or apart."""

    family: ClassVar[str]
    """Name of the family in specs, and type of the model in `config.json`."""
    processor: ClassVar[ProcessorDefaults]
    tokens: ClassVar[int]
    """Tokens per text, where the settings do not say."""
    image_outputs: ClassVar[tuple[str, ...]]
    """Outputs that may be embeddings of pictures, the best first."""
    text_outputs: ClassVar[tuple[str, ...]]
    """Outputs that may be embeddings of texts, the best first."""

    @abstractmethod
    def constants(self, path: Path, outputs: Mapping[str, Array] | None) -> dict[str, float]:
        """The spec's defaults: how cosines become scores.

        Args:
            path: The graph, for messages.
            outputs: What a whole model computes of several pictures and texts; None: the towers are apart.

        Raises:
            AdoptionError: They are unknown.
        """

    def prepare(self, tokenizer: TokenizerFiles) -> None:
        """Change the tokenizer to what the model was trained with. Most families change nothing."""

    def recognises(self, repository: Repository) -> bool:
        return repository.model_type == self.family

    def adopt(
        self, repository: Repository, request: AdoptionRequest, folder: Path, step: Callable[[str], None]
    ) -> list[Exported]:
        image, tokenizer = self._image(repository, request), TokenizerFiles(repository)
        self.prepare(tokenizer)
        tokens = tokenizer.input(TOKENS, self._length(repository))
        examples = Examples(drawn_batches(image)[0], tokenizer.examples(tokens))
        tokenizer.save(folder / "tokenizer.json")
        whole = repository.graphs.get(WHOLE)
        paths = (whole, whole) if whole is not None else _towers(repository)
        parts: list[tuple[str, Path, ImageInput | TokenInput, tuple[str, ...]]] = [
            ("image", paths[0], image, self.image_outputs),
            ("text", paths[1], tokens, self.text_outputs),
        ]
        runs: list[dict[str, Array]] = []
        defaults: dict[str, float] = {}
        exported: list[Exported] = []
        for part, path, taken, candidates in parts:
            step(f"reading the {part} tower")
            tower = Tower(path, taken, candidates)
            if whole is not None and tower.is_fixed:
                raise AdoptionError(path, "expected a free batch of a whole model, found a batch of one")
            given = examples.runs(one_by_one=tower.is_fixed)
            if not runs or whole is None:
                step("running the original graph")
                runs = _run(path, given, tuple(tower.graph.inputs), folder)
            defaults = defaults or self.constants(path, runs[-1] if whole is not None else None)
            expected = [tower.embeddings(run) for run in runs]
            step(f"adapting the {part} tower")
            graph = folder / f"{request.name}.{part}.onnx"
            spec = ModelSpec(
                request.name, self.family, "embed-image", taken, (), defaults=defaults, precision=request.precision,
                source=request.origin(path),
            )  # fmt: skip
            spec = tower.save(graph, spec, expected[0].shape[1])
            del tower  # its weights, before sessions load them
            step(f"comparing the {part} tower with the original graph")
            what = f"{len(expected[-1])} {'drawn pictures' if part == 'image' else 'texts'}"
            inputs = [run.inputs((taken.name,))[taken.name] for run in given]
            references = [{spec.outputs[0].name: rows} for rows in expected]
            exported.append(prove_adopted(graph, spec, request.precision, inputs, references, what))
            if part == "image":
                exported += export_helpers(spec, folder, step)
        return [*exported, Exported(folder / "tokenizer.json", None)]

    def _image(self, repository: Repository, request: AdoptionRequest) -> ImageInput:
        if request.imgsz is not None:
            raise AdoptionError(repository.folder, f"imgsz: expected none (its size is fixed), found {request.imgsz}")
        image = ImageProcessor(repository, self.processor).crop_input(PIXELS)
        side = repository.section("vision_config").get("image_size", image.height)
        if side != image.height:
            raise AdoptionError(
                repository.folder / "config.json",
                f"image_size: expected {image.height}, as in preprocessor_config.json, found {side}",
            )
        return image

    def _length(self, repository: Repository) -> int:
        length = repository.section("text_config").get("max_position_embeddings", self.tokens)
        if isinstance(length, bool) or not isinstance(length, int) or not 1 <= length <= _MOST_TOKENS:
            raise AdoptionError(
                repository.folder / "config.json",
                f"max_position_embeddings: expected 1 to {_MOST_TOKENS} tokens, found {length!r}",
            )
        return length


def _towers(repository: Repository) -> tuple[Path, Path]:
    """The graphs of towers that are apart."""
    missing = [name for name in TOWERS if name not in repository.graphs]
    if missing:
        raise AdoptionError(repository.folder, f"expected a graph of both towers, found {', '.join(repository.graphs)}")
    return repository.graphs[TOWERS[0]], repository.graphs[TOWERS[1]]


def _run(path: Path, examples: list[Examples], names: tuple[str, ...], folder: Path) -> list[dict[str, Array]]:
    """Run an original graph."""
    with tempfile.TemporaryDirectory(dir=folder) as staging, Original(path, Path(staging)) as original:
        return [original.run(each.inputs(names), "drawn pictures and texts") for each in examples]
