"""The text tower: small, indifferent to padding, and able to learn."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from fusion.phrases import MAX_LEN, encode, text_batch
from fusion.text import TextTower, text_losses
from perception.lexicon import INTENTS, TAGS


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(0)
    torch.set_num_threads(1)


def test_it_has_at_most_six_hundred_thousand_parameters() -> None:
    assert sum(p.numel() for p in TextTower().parameters()) <= 600_000


def test_shapes_and_unit_embeddings_even_for_an_empty_text() -> None:
    ids = torch.from_numpy(np.stack([encode("bring the tote"), np.zeros(MAX_LEN, np.int64)]))
    intent, tags, embedding = TextTower()(ids)
    assert intent.shape == (2, len(INTENTS)) and tags.shape == (2, MAX_LEN, len(TAGS))
    assert embedding.shape == (2, 32) and torch.isfinite(embedding).all()
    assert embedding[0].norm().item() == pytest.approx(1.0, abs=1e-5)


def test_padding_changes_nothing() -> None:
    net = TextTower().eval()
    long = torch.from_numpy(encode("keep away from the wet floor"))[None]
    short = long[:, : int((long != 0).sum())]
    for a, b in zip(net(long), net(short), strict=True):
        assert torch.allclose(a[:, : b.shape[1]], b, atol=1e-5)


def test_a_few_steps_of_training_lower_both_losses() -> None:
    net, rng = TextTower(), np.random.default_rng(0)
    step = torch.optim.AdamW(net.parameters(), 2e-3)

    def loss() -> dict[str, torch.Tensor]:
        batch = {k: torch.from_numpy(v) for k, v in text_batch(rng, 64).items()}
        return text_losses(net(batch["ids"]), batch)

    before = {k: v.item() for k, v in loss().items()}
    for _ in range(40):
        step.zero_grad()
        sum(loss().values()).backward()
        step.step()
    after = {k: v.item() for k, v in loss().items()}
    assert after["intent"] < 0.8 * before["intent"] and after["tags"] < 0.6 * before["tags"]
