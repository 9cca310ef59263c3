"""Finding what registers itself: every module of a package is imported once, so that adding a file is enough."""

from __future__ import annotations

import importlib
import pkgutil


def import_modules(package: str) -> None:
    """Import every module of a package, such as `fastsam_engine.backends`."""
    for module in pkgutil.iter_modules(importlib.import_module(package).__path__):
        importlib.import_module(f"{package}.{module.name}")
