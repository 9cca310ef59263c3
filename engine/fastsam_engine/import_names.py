"""Load public names on first use, import whole packages, and keep old paths and names working with a warning.

A package lists its moved modules in `moved_modules.txt`, one per line: the old path, the new path, and names that have
changed as `Old=New` (in the new module) or `Old=package.module.New`. The list is read when an import of that package
fails, so that it costs nothing else.
"""

from __future__ import annotations

import importlib
import sys
import warnings
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from importlib.abc import Loader  # importing it takes as long as the whole package

_LIST = "moved_modules.txt"


def lazy_names(
    package: str, modules: Mapping[str, str], moved: Mapping[str, str] | None = None
) -> Callable[[str], Any]:
    """A module's `__getattr__` that imports public names when they are first used.

    Args:
        package: `__name__` of the package.
        modules: For each name the module that defines it.
        moved: The same for names that the package defined while it was a module; using one warns.
    """
    old = moved or {}

    def get(name: str) -> Any:
        if name in old:
            _warn(f"{package}.{name}", f"{old[name]}.{name}", stacklevel=2)
            return getattr(importlib.import_module(old[name]), name)
        if name not in modules:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        value = getattr(importlib.import_module(modules[name]), name)
        setattr(sys.modules[package], name, value)
        return value

    return get


def moved_names(package: str, modules: Mapping[str, str]) -> Callable[[str], Any]:
    """A package's `__getattr__` for names that it defined while it was a module; using one warns.

    Args:
        package: `__name__` of the package.
        modules: For each name the module that defines it now.
    """
    return lazy_names(package, {}, modules)


def renamed_names(module: str, names: Mapping[str, str]) -> Callable[[str], Any]:
    """A module's `__getattr__` for old names of what it defines; using one warns.

    Args:
        module: `__name__` of the module.
        names: Old name to new name.
    """

    def get(name: str) -> Any:
        if name not in names:
            raise AttributeError(f"module {module!r} has no attribute {name!r}")
        warn_renamed(name, f"{module}.{names[name]}")
        return getattr(sys.modules[module], names[name])

    return get


def warn_renamed(old: str, new: str) -> None:
    """Warn the caller of the calling function that it uses an old name."""
    text = f"{old} is now {new}; the old name works until the next minor version"
    warnings.warn(text, DeprecationWarning, stacklevel=3)


def import_modules(package: str) -> None:
    """Import every module of a package, such as `fastsam_engine.backends`, so that each can register itself."""
    import pkgutil  # here, since this module is part of every import of the package

    for module in pkgutil.iter_modules(importlib.import_module(package).__path__):
        importlib.import_module(f"{package}.{module.name}")


def keep_old_paths(package: str, folder: Path) -> None:
    """Let the modules that a package moved be imported by their old paths, with a `DeprecationWarning`.

    Args:
        package: Name of the package.
        folder: The package's folder, which holds `moved_modules.txt`.
    """
    if not any(isinstance(finder, _MovedModules) and finder.package == package for finder in sys.meta_path):
        sys.meta_path.append(_MovedModules(package, folder / _LIST))


class _MovedModules:
    """Finds modules of a package by their old paths; the last finder, used when no other finds a module."""

    def __init__(self, package: str, path: Path) -> None:
        self.package = package
        self._path = path

    @cached_property
    def _modules(self) -> dict[str, _MovedModule]:
        lines = (line.split() for line in self._path.read_text().splitlines())
        return {old: _MovedModule(new, dict(name.split("=") for name in names)) for old, new, *names in lines}

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """The spec of a moved module; None for any other."""
        if not fullname.startswith(f"{self.package}.") or fullname not in self._modules:
            return None
        held = any(each.startswith(f"{fullname}.") for each in self._modules)
        return ModuleSpec(fullname, cast("Loader", self._modules[fullname]), is_package=held)


class _MovedModule:
    """Fills a module of an old path with the names of the module that has replaced it."""

    def __init__(self, new_path: str, renamed: Mapping[str, str]) -> None:
        self._new_path = new_path
        self._renamed = renamed

    def create_module(self, spec: ModuleSpec) -> None:
        """Leave it to Python to make the module."""

    def exec_module(self, module: ModuleType) -> None:
        """Fill it."""
        _warn(module.__name__, self._new_path, stacklevel=2)
        new = importlib.import_module(self._new_path)
        public = getattr(new, "__all__", [name for name in vars(new) if not name.startswith("__")])
        names = {name: getattr(new, name) for name in public}
        module.__dict__.update(names, __doc__=new.__doc__, __getattr__=self._getattr_of(module.__name__, new))

    def _getattr_of(self, old_path: str, new: ModuleType) -> Callable[[str], Any]:
        """The old module's `__getattr__`: renamed names, with a warning, and what the new module has on demand."""
        on_demand = vars(new).get("__getattr__")
        if on_demand is not None and not self._renamed:
            return cast("Callable[[str], Any]", on_demand)  # itself, so that its warnings name the caller's line

        def get(name: str) -> Any:
            if name in self._renamed:
                target = self._renamed[name]
                path, _, new_name = (target if "." in target else f"{self._new_path}.{target}").rpartition(".")
                _warn(f"{old_path}.{name}", f"{path}.{new_name}", stacklevel=2)
                return getattr(importlib.import_module(path), new_name)
            raise AttributeError(f"module {old_path!r} has no attribute {name!r}")

        return get


def _warn(old: str, new: str, stacklevel: int) -> None:
    warnings.warn(
        f"{old} has moved to {new}; the old path works until the next minor version",
        DeprecationWarning,
        stacklevel=stacklevel + 1,
    )
