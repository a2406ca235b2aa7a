"""Checkpoint -> two ONNX graphs of the one network: detect.onnx and text.onnx.

Two files because words come seldom and frames all the time; the weights are from one training.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from fusion.grid import HEADS, model_inputs
from fusion.model import AislewiseNet
from fusion.phrases import MAX_LEN
from fusion.train import load_net

INPUTS = ("image", "grid", "seen", "points", "cells", "present")
OPSET = 18


class _Detect(nn.Module):
    """Heat as probabilities and the outputs in the order of HEADS, as one (57, h, w) array."""

    def __init__(self, net: AislewiseNet) -> None:
        super().__init__()
        self.net = net

    def forward(
        self, image: Tensor, grid: Tensor, seen: Tensor, points: Tensor, cells: Tensor, present: Tensor
    ) -> Tensor:
        out = self.net(image, grid, seen, points, cells, present)
        return torch.cat([out["heat"].sigmoid(), *(out[name] for name in list(HEADS)[1:])], dim=1)[0]


def export(checkpoint: Path, folder: Path) -> tuple[Path, Path]:
    """Writes detect.onnx and text.onnx into folder; returns their paths."""
    net = load_net(checkpoint)
    folder.mkdir(parents=True, exist_ok=True)
    return _detect(net, folder / "detect.onnx"), _text(net, folder / "text.onnx")


def example_inputs(net: AislewiseNet) -> tuple[Tensor, ...]:
    """A frame without sensors, batch of one: right shapes and types for tracing."""
    points = np.random.default_rng(0).uniform(0, 2, (64, 4)).astype(np.float32)
    frame = model_inputs(None, None, points, net.config.bev_grid)
    batched = [torch.from_numpy(a)[None] for a in frame]
    batched[3], batched[4] = batched[3][0], batched[4][0]
    return tuple(batched)


def _detect(net: AislewiseNet, path: Path) -> Path:
    count = torch.export.Dim("count", min=1, max=1_000_000)
    metadata = {"bev": json.dumps(asdict(net.config.bev_grid))}
    shapes = ({}, {}, {}, {0: count}, {0: count}, {})
    return _write(_Detect(net).eval(), example_inputs(net), INPUTS, ("maps",), shapes, path, metadata)


def _text(net: AislewiseNet, path: Path) -> Path:
    ids = torch.ones(1, MAX_LEN, dtype=torch.int64)
    names = ("intents", "word_tags", "phrase")  # not those of modules inside: ONNX names are global
    return _write(net.text.eval(), (ids,), ("ids",), names, ({},), path, {})


def _write(
    module: nn.Module,
    args: tuple[Tensor, ...],
    inputs: tuple[str, ...],
    outputs: tuple[str, ...],
    shapes: tuple[dict[int, torch.export.Dim], ...],
    path: Path,
    metadata: dict[str, str],
) -> Path:
    program = torch.onnx.export(
        module, args, dynamo=True, opset_version=OPSET, input_names=inputs, output_names=outputs,
        dynamic_shapes=shapes, verbose=False,
    )  # fmt: skip
    part = path.with_suffix(".part")
    program.model.metadata_props.update(metadata)
    program.save(part, external_data=False)
    strip(part)
    os.replace(part, path)
    return path


def strip(path: Path) -> None:
    """Remove the exporter's notes on where in the source each node comes from: paths of the machine that
    exported, of no use to anyone else. The model's own metadata stays."""
    import onnx

    model = onnx.load(path)
    graphs: list[onnx.GraphProto | onnx.FunctionProto] = [model.graph, *model.functions]
    for graph in graphs:
        graph.doc_string = ""
        del graph.metadata_props[:]
        for item in (*graph.node, *graph.value_info, *getattr(graph, "initializer", ())):
            item.doc_string = ""
            del item.metadata_props[:]
    for item in (*model.graph.input, *model.graph.output):
        item.doc_string = ""
        del item.metadata_props[:]
    onnx.save(model, path)
