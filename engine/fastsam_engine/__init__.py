"""The engine wing: exported models, opened on whichever backend the machine has."""

from fastsam_engine.errors import FastsamError, RequestError, WorkError
from fastsam_engine.model_spec import ModelSpec
from fastsam_engine.model_store import find_graph
from fastsam_engine.opening import open_session
from fastsam_engine.session import Session
from fastsam_engine.spec_reader import read_spec

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
