"""Store graphs that OpenVINO compiled, since reading one takes a fraction of the time of compiling it.

OpenVINO does not notice that a stored file was changed; the engine cache, which holds these files, does.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from fastsam_engine.plans.engine_cache import EngineCache

if TYPE_CHECKING:
    import openvino

Shape = tuple[int, ...]

_PREPARATION = 2  # raise it when this package prepares graphs in another way, so that what was stored is compiled again


class CompiledCache:
    """The compiled forms of one graph, by input shape."""

    def __init__(self, core: openvino.Core, graph: Path, what: Mapping[str, object]) -> None:
        """Prepare the key of the graph.

        Args:
            core: The core that compiles.
            graph: The ONNX file; after it is written again it counts as another graph.
            what: Everything else that the compiled graph depends on.
        """
        import openvino

        status = graph.stat()
        self._core = core
        self._name = graph.stem
        self._key = {
            "graph": [str(graph.resolve()), status.st_size, status.st_mtime_ns],
            "version": openvino.get_version(),
            "preparation": _PREPARATION,
            "processor": core.get_property("CPU", "FULL_DEVICE_NAME"),
            **what,
        }
        self._cache = EngineCache()

    def path(self, shape: Shape) -> Path:
        """The file for an input shape, which may not exist; an empty shape stands for dynamic axes."""
        return self._cache.byproduct_path("compiled", "openvino", {**self._key, "shape": shape}, self._name)

    def load(self, shape: Shape, options: Mapping[str, str]) -> openvino.CompiledModel | None:
        """The graph for an input shape; None if none is stored for this CPU and version."""
        kept = self._cache.byproduct(self.path(shape))
        if not kept:
            return None
        try:
            return self._core.import_model(kept, "CPU", dict(options))
        except RuntimeError:
            return None

    def store(self, shape: Shape, compiled: openvino.CompiledModel) -> None:
        """Store a graph.

        Raises:
            OutputError: It can't be written.
        """
        self._cache.store_byproduct(self.path(shape), compiled.export_model().getvalue())
