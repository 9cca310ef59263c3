"""Graphs that OpenVINO compiled in a build, kept for later processes: reading one takes a fraction of compiling it.

OpenVINO does not notice a file that was changed, so they lie in the engine cache, which does.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from fastsam_engine.plans.engine_cache import EngineCache

if TYPE_CHECKING:
    import openvino

Shape = tuple[int, ...]


class CompiledGraphs:
    """What was compiled of one graph, by input shape."""

    def __init__(self, core: openvino.Core, graph: Path, what: Mapping[str, object]) -> None:
        """Find the place.

        Args:
            core: That compiles.
            graph: The ONNX file; one that was written anew counts as another.
            what: All else that decides what is compiled.
        """
        import openvino

        told = graph.stat()
        self._core = core
        self._name = graph.stem
        self._key = {
            "graph": [str(graph.resolve()), told.st_size, told.st_mtime_ns],
            "version": openvino.get_version(),
            "processor": core.get_property("CPU", "FULL_DEVICE_NAME"),
            **what,
        }
        self._cache = EngineCache()

    def path(self, shape: Shape) -> Path:
        """Where the graph for an input shape lies, or would; an empty shape: the graph with its dynamic axes."""
        return self._cache.byproduct_path("compiled", "openvino", {**self._key, "shape": shape}, self._name)

    def load(self, shape: Shape, options: Mapping[str, str]) -> openvino.CompiledModel | None:
        """The graph for an input shape; None where none was kept, or not for this processor and version."""
        kept = self._cache.byproduct(self.path(shape))
        if not kept:
            return None
        try:
            return self._core.import_model(kept, "CPU", dict(options))
        except RuntimeError:
            return None

    def store(self, shape: Shape, compiled: openvino.CompiledModel) -> None:
        """Keep a graph.

        Raises:
            OutputError: It can't be written.
        """
        self._cache.store_byproduct(self.path(shape), compiled.export_model().getvalue())
