"""The one compact multimodal network: camera + lidar -> objects in BEV, words -> the same space.

Sources: pillars (Lang et al. 2019), parameter-free lifting of image features (Harley et al. 2022,
Simple-BEV), presence-gated fusion with modality dropout and an auxiliary camera head (so that the
network still sees with one sensor gone), centre heads (Yin et al. 2021), sigmoid contrastive loss
between objects and phrases (Zhai et al. 2023, SigLIP; in fusion/losses.py). Plain image colour is carried
to the cells beside the features, as PointPainting (Vora et al. 2020) does with classes.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from aislewise.types import Colour, ObjectClass
from fusion.grid import HEADS, POINT_FEATURES, BevConfig
from fusion.text import TextTower

CLASSES = len(ObjectClass)
COLOURS = len(Colour)
RGB = 3
LOOKS = ("colour", "attributes", "embedding")
"""Heads that the camera decides: they see its features past the trunk, which blurs them."""
HEAT_PRIOR = -4.0
"""Initial heat logit: about 2 % of cells hold something, so training starts without a flood."""


@dataclass(frozen=True, slots=True)
class ModelConfig:
    """Widths of the network; the defaults were chosen by latency on one CPU thread."""

    pillar: int = 32
    camera: tuple[int, int, int, int] = (16, 32, 64, 96)
    bev: tuple[int, int, int] = (48, 96, 128)
    lift: int = 32
    head: int = 64
    bev_grid: BevConfig = field(default_factory=BevConfig)

    @staticmethod
    def of(values: dict[str, Any]) -> ModelConfig:
        """From the nested dictionary that `dataclasses.asdict` made of one."""
        return ModelConfig(**(values | {"bev_grid": BevConfig(**values["bev_grid"])}))


def conv(cin: int, cout: int, kernel: int = 3, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(cin, cout, kernel, stride, kernel // 2, bias=False),
        nn.BatchNorm2d(cout),
        nn.ReLU(inplace=True),
    )


class Residual(nn.Module):
    """Two 3x3 convolutions with a skip (He et al. 2016)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            conv(width, width),
            nn.Conv2d(width, width, 3, 1, 1, bias=False),
            nn.BatchNorm2d(width),
        )

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(x + self.body(x))


class PillarEncoder(nn.Module):
    """(P, 9) point features -> max per cell -> (B, C, H/stride, W/stride)."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.cells, width = config.bev_grid.cells, config.pillar
        self.points = nn.Sequential(
            nn.Linear(POINT_FEATURES, width, bias=False),
            nn.BatchNorm1d(width),
            nn.ReLU(inplace=True),
            nn.Linear(width, width),
            nn.ReLU(inplace=True),
        )
        self.shrink = conv(width, config.bev[0], 3, config.bev_grid.stride)

    def forward(self, points: Tensor, cells: Tensor, batch: int) -> Tensor:
        features = self.points(points)
        width, n = features.shape[1], self.cells
        flat = features.new_zeros(batch * n * n, width)
        # ReLU output is never below the zeros of an empty cell, so the maximum may include them.
        flat = flat.scatter_reduce(0, cells[:, None].expand(-1, width), features, "amax")
        return self.shrink(flat.view(batch, n, n, width).permute(0, 3, 1, 2))


class CameraEncoder(nn.Module):
    """(B, 3, H, W) -> features of stride 8, sampled where each BEV cell falls in the image."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        a, b, c, d = config.camera
        self.early = nn.Sequential(conv(3, a, 3, 2), conv(a, b, 3, 2), Residual(b))
        self.middle = nn.Sequential(conv(b, c, 3, 2), Residual(c))
        self.context = nn.Sequential(conv(c, d, 3, 2), Residual(d), nn.Conv2d(d, c, 1))
        self.heights = len(config.bev_grid.lift_heights_m)
        self.narrow = conv(c, config.lift, 1)
        self.lifted = conv((config.lift + RGB) * self.heights, config.bev[0], 1)

    def forward(self, image: Tensor, grid: Tensor, seen: Tensor) -> tuple[Tensor, Tensor]:
        """grid: (B, Z * H, W, 2); seen: (B, 1, H, W). Returns features (B, C, H, W) and the plain
        colour at each lift height (B, 3 * Z, H, W), both zero out of view."""
        middle = self.middle(self.early(image))
        wide = F.interpolate(self.context(middle), scale_factor=2.0, mode="nearest")
        features = self.narrow(F.relu(middle + wide[:, :, : middle.shape[2], : middle.shape[3]]))
        # Cells out of view have coordinates outside [-1, 1] and read the zero padding.
        batch, _, rows, columns = seen.shape
        sampled, paint = (
            F.grid_sample(x, grid, "bilinear", "zeros", align_corners=False).view(batch, -1, rows, columns)
            for x in (features, F.avg_pool2d(image, 4))
        )
        return self.lifted(torch.cat([sampled, paint], dim=1)) * seen, paint * seen


class GatedFusion(nn.Module):
    """Weighs each sensor per cell, knowing which sensors are present."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.gate = nn.Conv2d(2 * width + 2, 2 * width, 1)
        self.mix = conv(2 * width, width, 1)

    def forward(self, lidar: Tensor, camera: Tensor, present: Tensor) -> Tensor:
        both = torch.cat([lidar, camera], dim=1)
        flags = present[:, :, None, None].expand(-1, -1, both.shape[2], both.shape[3])
        return self.mix(both * torch.sigmoid(self.gate(torch.cat([both, flags], dim=1))))


class BevTrunk(nn.Module):
    """Small U-Net over the fused grid."""

    def __init__(self, widths: tuple[int, int, int], out: int) -> None:
        super().__init__()
        a, b, c = widths
        self.level0 = Residual(a)
        self.level1 = nn.Sequential(conv(a, b, 3, 2), Residual(b))
        self.level2 = nn.Sequential(conv(b, c, 3, 2), Residual(c), Residual(c))
        self.up1, self.join1 = nn.Conv2d(c, b, 1), conv(b, b)
        self.up0, self.join0 = nn.Conv2d(b, a, 1), conv(a, out)

    def forward(self, x: Tensor) -> Tensor:
        fine = self.level0(x)
        middle = self.level1(fine)
        coarse = self.level2(middle)
        up = F.interpolate(self.up1(coarse), scale_factor=2.0, mode="nearest")
        middle = self.join1(F.relu(middle + up))
        up = F.interpolate(self.up0(middle), scale_factor=2.0, mode="nearest")
        return self.join0(F.relu(fine + up))


class AislewiseNet(nn.Module):
    """forward() detects; `text` is the language tower that shares the embedding space."""

    def __init__(self, config: ModelConfig | None = None) -> None:
        super().__init__()
        self.config = config or ModelConfig()
        width = self.config.bev[0]
        self.lidar = PillarEncoder(self.config)
        self.camera = CameraEncoder(self.config)
        self.fuse = GatedFusion(width)
        self.trunk = BevTrunk(self.config.bev, self.config.head)
        self.boxes = nn.Conv2d(self.config.head, sum(v for k, v in HEADS.items() if k not in LOOKS), 1)
        paint = RGB * len(self.config.bev_grid.lift_heights_m)
        self.looks = nn.Sequential(
            conv(self.config.head + width + paint, 2 * self.config.head, 1),
            conv(2 * self.config.head, self.config.head, 1),
            nn.Conv2d(self.config.head, sum(HEADS[k] for k in LOOKS), 1),
        )
        self.camera_heads = nn.Sequential(
            conv(width, width), nn.Conv2d(width, CLASSES + 2 + COLOURS, 1)
        )
        self.text = TextTower()
        self.pair_scale = nn.Parameter(torch.tensor(2.3))
        self.pair_bias = nn.Parameter(torch.tensor(-4.0))
        for last in (self.boxes, self.camera_heads[-1]):
            nn.init.normal_(last.weight, std=0.01)
            nn.init.zeros_(last.bias)
            nn.init.constant_(last.bias[:CLASSES], HEAT_PRIOR)

    def forward(
        self,
        image: Tensor,
        grid: Tensor,
        seen: Tensor,
        points: Tensor,
        cells: Tensor,
        present: Tensor,
    ) -> dict[str, Tensor]:
        """image: (B, 3, H, W) in [-1, 1]; grid, seen: grid.camera_grid; points (P, 9), cells (P,):
        grid.pillarise with cells + sample * cells_per_grid; present: (B, 2) 1 where (lidar, camera)
        is there. Returns HEADS as (B, C, h, w), plus camera_only (B, 17, h, w) while training."""
        batch = image.shape[0]
        lidar = self.lidar(points, cells, batch) * present[:, 0, None, None, None]
        has_camera = present[:, 1, None, None, None]
        camera, paint = (x * has_camera for x in self.camera(image, grid, seen))
        trunk = self.trunk(self.fuse(lidar, camera, present))
        raw = torch.cat([self.boxes(trunk), self.looks(torch.cat([trunk, camera, paint], dim=1))], dim=1)
        out = dict(zip(HEADS, raw.split(list(HEADS.values()), dim=1), strict=True))
        out["embedding"] = F.normalize(out["embedding"], dim=1)
        if self.training:
            out["camera_only"] = self.camera_heads(camera)
        return out
