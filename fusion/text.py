"""The language part of the multimodal model: a small transformer over word pieces.

Pre-norm blocks (Xiong et al. 2020) with learned positions; masked mean pooling for intent and for the
phrase embedding, which shares its space with the object embeddings of `fusion.model`.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from aislewise.types import EMBEDDING_SIZE
from fusion.phrases import MAX_LEN, PAD, VOCAB_SIZE
from perception.lexicon import INTENTS, TAGS


class Block(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm_attend, self.norm_mix = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.mix = nn.Sequential(nn.Linear(width, 3 * width), nn.GELU(), nn.Linear(3 * width, width))

    def forward(self, x: Tensor, bias: Tensor) -> Tensor:
        """x: (B, T, D); bias: (B, 1, 1, T), a large negative number at padding."""
        b, t, d = x.shape
        q, k, v = self.qkv(self.norm_attend(x)).reshape(b, t, 3, self.heads, d // self.heads).unbind(2)
        q, k, v = q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2)
        score = q @ k.transpose(-1, -2) * (d // self.heads) ** -0.5 + bias
        x = x + self.out((score.softmax(-1) @ v).transpose(1, 2).reshape(b, t, d))
        return x + self.mix(self.norm_mix(x))


class TextTower(nn.Module):
    """ids (B, T) int64, T at most MAX_LEN, 0 = padding -> intent logits (B, I), tag logits (B, T, K),
    phrase embedding (B, 32) of unit length."""

    def __init__(self, width: int = 96, heads: int = 4, depth: int = 2) -> None:
        super().__init__()
        self.word = nn.Embedding(VOCAB_SIZE, width, padding_idx=PAD)
        self.position = nn.Parameter(0.02 * torch.randn(MAX_LEN, width))
        self.blocks = nn.ModuleList(Block(width, heads) for _ in range(depth))
        self.norm = nn.LayerNorm(width)
        self.intent = nn.Linear(width, len(INTENTS))
        self.tags = nn.Linear(width, len(TAGS))
        self.embed = nn.Sequential(nn.Linear(width, width), nn.GELU(), nn.Linear(width, EMBEDDING_SIZE))
        nn.init.normal_(self.word.weight, std=0.02)

    def forward(self, ids: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        mask = (ids != PAD).to(self.position.dtype)
        bias = (mask[:, None, None, :] - 1.0) * 1e4
        x = self.word(ids) + self.position[: ids.shape[1]]
        for block in self.blocks:
            x = block(x, bias)
        x = self.norm(x)
        pooled = (x * mask[..., None]).sum(1) / mask.sum(1, keepdim=True).clamp(min=1.0)
        return self.intent(pooled), self.tags(x), F.normalize(self.embed(pooled), dim=-1, eps=1e-6)


def text_losses(
    outputs: tuple[Tensor, Tensor, Tensor], batch: dict[str, Tensor]
) -> dict[str, Tensor]:
    """Scalar losses of `fusion.phrases.text_batch` sentences. The embedding is trained elsewhere,
    against detections (fusion.train)."""
    intent, tags, _ = outputs
    return {
        "intent": F.cross_entropy(intent, batch["intent"], label_smoothing=0.02),
        "tags": F.cross_entropy(tags.flatten(0, 1), batch["tags"].flatten(), ignore_index=-100),
    }
