"""Training: one loop, one thread, resumable to the step.

The order of samples, their augmentation and the phrases all follow from (seed, step), so a run that
was killed and resumed ends with the same weights as one that was not.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from aislewise.errors import InputError
from fusion.dataset import AugmentConfig, Batch, Example, augment, collate
from fusion.losses import WEIGHTS, detection_losses, pair_loss, sentence_losses
from fusion.model import AislewiseNet, ModelConfig

CHECKPOINT = "checkpoint.pt"
SENSORS = ("both", "lidar", "camera")


@dataclass(frozen=True, slots=True)
class TrainConfig:
    """sensors: "both", or the one sensor a baseline is trained with. save_every: steps between
    checkpoints. bfloat16: passes in mixed precision, twice as fast on CPUs that have it. average: decay of the moving average of the weights, which is what is exported."""

    epochs: int = 8
    batch: int = 8
    learning_rate: float = 3e-3
    weight_decay: float = 0.02
    warm_up: float = 0.04
    average: float = 0.998
    seed: int = 0
    sensors: str = "both"
    save_every: int = 200
    bfloat16: bool = False
    augment: AugmentConfig = field(default_factory=AugmentConfig)

    def __post_init__(self) -> None:
        if self.epochs < 1 or self.batch < 2:
            raise InputError("train.batch", "at least 1 epoch and batches of 2", 2)
        if self.sensors not in SENSORS:
            raise InputError("train.sensors", repr(self.sensors), SENSORS)
        if not 0 < self.learning_rate < 1 or not 0 <= self.average < 1:
            raise InputError("train.learning_rate", "rates must lie in (0, 1)", 1)


@dataclass(slots=True)
class Run:
    """Everything a checkpoint holds."""

    net: AislewiseNet
    average: AislewiseNet
    optimiser: torch.optim.Optimizer
    step: int = 0


def train(
    examples: Sequence[Example],
    out: Path,
    config: TrainConfig,
    *,
    model: ModelConfig | None = None,
    init: Path | None = None,
    resume: bool = False,
    minutes: float | None = None,
    report: Callable[[int, int, dict[str, float]], None] = lambda step, steps, losses: None,
    clock: Callable[[], float] = time.monotonic,
) -> Path:
    """Trains on examples and returns the checkpoint in `out`. Stops early, resumable, after `minutes`.
    init: a checkpoint whose averaged weights are the start.

    report(step, steps, losses) is called after each step. Raises InputError when there are fewer
    examples than a batch, or when a checkpoint to resume belongs to another configuration.
    """
    per_epoch = len(examples) // config.batch
    if per_epoch == 0:
        raise InputError("examples", f"{len(examples)} frames", f"at least {config.batch}")
    steps, path = per_epoch * config.epochs, out / CHECKPOINT
    run = start(config, model)
    if init is not None:
        weights = load_net(init).state_dict()
        run.net.load_state_dict(weights)
        run.average.load_state_dict(weights)
    if resume and path.exists():
        restore(run, path, config)
    deadline = None if minutes is None else clock() + 60.0 * minutes
    run.net.train()
    while run.step < steps:
        batch = batch_of(examples, run.step, per_epoch, config, run.net.config)
        for group in run.optimiser.param_groups:
            group["lr"] = rate(run.step / steps, config)
        losses = advance(run, batch, config)
        report(run.step, steps, losses)
        late = deadline is not None and clock() > deadline
        if late or run.step % config.save_every == 0 or run.step == steps:
            save(run, path, config)
        if late:
            break
    return path


def start(config: TrainConfig, model: ModelConfig | None = None) -> Run:
    torch.manual_seed(config.seed)
    net, average = AislewiseNet(model), AislewiseNet(model)
    average.load_state_dict(net.state_dict())
    net.to(memory_format=torch.channels_last)
    plain = [p for p in net.parameters() if p.ndim < 2]
    decayed = [p for p in net.parameters() if p.ndim >= 2]
    groups: list[dict[str, Any]] = [
        {"params": decayed, "weight_decay": config.weight_decay},
        {"params": plain, "weight_decay": 0.0},
    ]
    return Run(net, average, torch.optim.AdamW(groups, lr=config.learning_rate))


def batch_of(
    examples: Sequence[Example], step: int, per_epoch: int, config: TrainConfig, model: ModelConfig
) -> Batch:
    """The batch of a step: a fixed function of (seed, step)."""
    epoch, within = divmod(step, per_epoch)
    order = np.random.default_rng((config.seed, 1, epoch)).permutation(len(examples))
    rng = np.random.default_rng((config.seed, 2, step))
    chosen = order[within * config.batch : (within + 1) * config.batch]
    varied = [augment(examples[i], _drops(config), rng) for i in chosen]
    return collate(varied, model.bev_grid, rng)


def _drops(config: TrainConfig) -> AugmentConfig:
    if config.sensors == "both":
        return config.augment
    lidar = 1.0 if config.sensors == "camera" else 0.0
    values = asdict(config.augment) | {"drop_lidar": lidar, "drop_camera": 1.0 - lidar}
    return AugmentConfig(**values)


def rate(progress: float, config: TrainConfig) -> float:
    """Linear warm-up, then a cosine to zero (Loshchilov and Hutter 2017)."""
    if progress < config.warm_up:
        return config.learning_rate * max(progress / config.warm_up, 0.02)
    done = (progress - config.warm_up) / (1.0 - config.warm_up)
    return config.learning_rate * (0.5 + 0.5 * float(np.cos(np.pi * done)))


def advance(run: Run, batch: Batch, config: TrainConfig) -> dict[str, float]:
    """One step of gradient descent; returns the losses by name."""
    rng = np.random.default_rng((config.seed, 3, run.step))
    with torch.autocast("cpu", torch.bfloat16, enabled=config.bfloat16):
        raw = run.net(*batch.inputs)
    out = {name: maps.float() for name, maps in raw.items()}
    losses = detection_losses(out, batch) | sentence_losses(run.net, rng)
    paired = pair_loss(run.net, out, batch, rng)
    if paired is not None:
        losses["pair"] = paired
    total: Tensor = torch.stack([WEIGHTS[k] * v for k, v in losses.items()]).sum()
    run.optimiser.zero_grad(set_to_none=True)
    total.backward()
    nn.utils.clip_grad_norm_(run.net.parameters(), 10.0)
    run.optimiser.step()
    run.step += 1
    follow(run.average, run.net, min(config.average, run.step / (run.step + 10.0)))
    return {k: float(v.detach()) for k, v in losses.items()} | {"total": float(total.detach())}


@torch.no_grad()
def follow(average: nn.Module, net: nn.Module, decay: float) -> None:
    """Exponential moving average of weights and batch statistics."""
    for mean, now in zip(average.state_dict().values(), net.state_dict().values(), strict=True):
        if mean.dtype.is_floating_point:
            mean.lerp_(now, 1.0 - decay)
        else:
            mean.copy_(now)


def save(run: Run, path: Path, config: TrainConfig) -> None:
    """Atomic: a kill leaves the old file or the new one, never half of one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    state = {
        "net": run.net.state_dict(), "average": run.average.state_dict(),
        "optimiser": run.optimiser.state_dict(), "step": run.step,
        "train": asdict(config), "model": asdict(run.net.config),
    }  # fmt: skip
    part = path.with_suffix(".part")
    torch.save(state, part)
    os.replace(part, path)


def restore(run: Run, path: Path, config: TrainConfig) -> None:
    state = torch.load(path, map_location="cpu", weights_only=True)
    # More epochs may be asked for than the checkpoint was begun with; everything else must be the same.
    if state["train"] | {"epochs": 0} != asdict(config) | {"epochs": 0}:
        raise InputError("resume", "the checkpoint was made with other settings", state["train"])
    run.net.load_state_dict(state["net"])
    run.average.load_state_dict(state["average"])
    run.optimiser.load_state_dict(state["optimiser"])
    run.step = int(state["step"])


def load_net(path: Path) -> AislewiseNet:
    """The averaged network of a checkpoint, ready for evaluation and export."""
    state = torch.load(path, map_location="cpu", weights_only=True)
    net = AislewiseNet(ModelConfig.of(state["model"]))
    net.load_state_dict(state["average"])
    return net.eval()
