"""Open exported models on whichever backend the machine has.

Names are loaded on first use, so that `import fastsam_engine` costs next to nothing.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from fastsam_engine.import_names import keep_old_paths, lazy_names

if TYPE_CHECKING:
    from fastsam_engine.backend_choice import choose_builder
    from fastsam_engine.errors import FastsamError, RequestError, WorkError
    from fastsam_engine.opener import open_session
    from fastsam_engine.session import Session
    from fastsam_engine.spec.model_spec import ModelSpec
    from fastsam_engine.spec_reader import read_spec
    from fastsam_engine.store.model_store import find_graph

__all__ = [
    "FastsamError",
    "ModelSpec",
    "RequestError",
    "Session",
    "WorkError",
    "choose_builder",
    "find_graph",
    "open_session",
    "read_spec",
]
__getattr__ = lazy_names(
    __name__,
    {
        "FastsamError": "fastsam_engine.errors",
        "ModelSpec": "fastsam_engine.spec.model_spec",
        "RequestError": "fastsam_engine.errors",
        "Session": "fastsam_engine.session",
        "WorkError": "fastsam_engine.errors",
        "choose_builder": "fastsam_engine.backend_choice",
        "find_graph": "fastsam_engine.store.model_store",
        "open_session": "fastsam_engine.opener",
        "read_spec": "fastsam_engine.spec_reader",
    },
)
keep_old_paths(__name__, Path(__file__).parent)
