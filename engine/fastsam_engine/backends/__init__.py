"""Backends, one folder each. A folder that defines a `Backend` under `@register` is found by being here."""

from fastsam_engine.backends.registry import Backend, Readiness, all_backends, get_backend, register

__all__ = ["Backend", "Readiness", "all_backends", "get_backend", "register"]
