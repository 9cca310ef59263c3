"""The engine wing: exported models, opened on whichever backend the machine has."""

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
    "find_graph",
    "open_session",
    "read_spec",
]
