"""Deformable attention in the exported form, compared with transformers."""

from __future__ import annotations

from pathlib import Path

import pytest

pytestmark = pytest.mark.usefixtures("export_extra")


@pytest.mark.parametrize("batch", [1, 3])
def test_it_equals_transformers(batch: int) -> None:
    import torch
    from transformers.models.mask2former.modeling_mask2former import multi_scale_deformable_attention

    from fastsam_export.frameworks.deformable_attention import attend

    torch.manual_seed(0)
    shapes = [(3, 5), (6, 10), (1, 1)]
    cells = sum(high * wide for high, wide in shapes)
    value = torch.randn(batch, cells, 4, 8)
    locations = torch.rand(batch, 7, 4, 3, 5, 2) * 1.4 - 0.2  # beyond the edges too
    weights = torch.rand(batch, 7, 4, 3, 5)
    expected = multi_scale_deformable_attention(value, shapes, locations, weights)
    torch.testing.assert_close(attend(value, shapes, locations, weights), expected, rtol=1e-5, atol=1e-5)


def test_an_export_contains_it_and_transformers_is_unchanged(small_exports: dict[str, Path]) -> None:
    import onnx
    from transformers.models.mask2former import modeling_mask2former

    from fastsam_engine import find_graph
    from fastsam_export.frameworks.deformable_attention import attend

    graph = onnx.load(find_graph(small_exports["mask2former"])).graph
    sampled = [node.output[0] for node in graph.node if node.op_type == "GridSample"]
    assert len(sampled) == 2 * 3 * 4  # layers, levels, points
    users = [node.op_type for node in graph.node if set(sampled) & set(node.input)]
    assert users == ["Mul"] * len(sampled)
    assert modeling_mask2former.multi_scale_deformable_attention is not attend
