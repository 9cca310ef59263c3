"""Fixtures: seeded models, dense and cut."""

from __future__ import annotations

from collections.abc import Callable

import pytest

pytest.importorskip("onnx")

from support import sparse_models


@pytest.fixture(scope="session")
def model_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], sparse_models.Model]:
    """A kind of model, made when it is first wanted."""
    made: dict[str, sparse_models.Model] = {}

    def of(kind: str) -> sparse_models.Model:
        if kind not in made:
            made[kind] = sparse_models.save(tmp_path_factory.mktemp(kind), kind)
        return made[kind]

    return of


@pytest.fixture
def model(model_of: Callable[[str], sparse_models.Model]) -> sparse_models.Model:
    """A model of three classes that needs NMS."""
    return model_of("nms")


@pytest.fixture(params=list(sparse_models.KINDS))
def any_model(request: pytest.FixtureRequest, model_of: Callable[[str], sparse_models.Model]) -> sparse_models.Model:
    """Each kind of model."""
    return model_of(request.param)
