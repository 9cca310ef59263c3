"""Backends, one folder each; every folder here is imported and registers its backend."""

from fastsam_engine.backends.registry import Backend, Readiness, all_backends, get_backend, register

__all__ = ["Backend", "Readiness", "all_backends", "get_backend", "register"]
