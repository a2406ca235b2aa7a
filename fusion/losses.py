"""What the network is trained on: heat map, boxes, looks, phrases, sentences."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from aislewise.types import ATTRIBUTES, Colour, ObjectClass
from fusion.dataset import Batch
from fusion.grid import NO_COLOUR
from fusion.model import CLASSES, COLOURS, AislewiseNet
from fusion.phrases import describe, encode, text_batch
from fusion.text import text_losses
from perception.lexicon import ATTRIBUTE_WORDS

OWNER = {ObjectClass.PERSON: 0, ObjectClass.PALLET: 1}
"""Which attribute (index into ATTRIBUTES) a class can have; the others have none."""
WEIGHTS = {
    "heat": 1.0, "offset": 1.0, "z": 0.5, "size": 0.5, "yaw": 0.3, "colour": 1.0, "attributes": 0.5,
    "camera_heat": 0.3, "camera_colour": 0.5, "pair": 0.05, "intent": 0.3, "tags": 0.3,
}  # fmt: skip
PHRASES = 24
SENTENCES = 24
PHRASE_LENGTH = 16


def focal(logits: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """Penalty-reduced focal loss over a heat map, per object (Law and Deng 2018; Yin et al. 2021)."""
    log_p, log_q = F.logsigmoid(logits), F.logsigmoid(-logits)
    p = log_p.exp()
    own = target == 1.0
    hit = own * (1.0 - p) ** 2 * log_p
    miss = ~own * (1.0 - target) ** 4 * p**2 * log_q
    return -(weight * (hit + miss)).sum() / own.sum().clamp(min=1)


def at_cells(dense: Tensor, cell: Tensor) -> Tensor:
    """(B, C, h, w) read at (M,) flat cell indices -> (M, C)."""
    return dense.permute(0, 2, 3, 1).flatten(0, 2)[cell]


def detection_losses(out: dict[str, Tensor], batch: Batch) -> dict[str, Tensor]:
    """Scalar losses of one batch; the embedding has its own (`pair_loss`)."""
    objects = batch.objects
    losses = {"heat": focal(out["heat"], batch.heat, batch.heat_weight)}
    aux = out["camera_only"]
    losses["camera_heat"] = focal(aux[:, :CLASSES], batch.camera_heat, batch.camera_weight)
    cell = objects["cell"]
    if not len(cell):
        return losses
    for name in ("offset", "z", "size", "yaw"):
        losses[name] = F.l1_loss(at_cells(out[name], cell), objects[name])
    # Without a camera the best answer is the prior of the class, and this teaches exactly that.
    losses["colour"] = colour_loss(at_cells(out["colour"], cell), objects["colour"])
    logits, target = at_cells(out["attributes"], cell), objects["attributes"]
    owned = torch.stack([objects["cls"] == c for c in OWNER], dim=1).to(logits.dtype)
    each = F.binary_cross_entropy_with_logits(logits, target, reduction="none")
    losses["attributes"] = (each * owned).sum() / owned.sum().clamp(min=1)
    seen = objects["in_view"]
    if seen.any():
        colours = at_cells(aux[:, CLASSES : CLASSES + COLOURS], cell[seen])
        losses["camera_colour"] = colour_loss(colours, objects["colour"][seen])
    return losses


def colour_loss(logits: Tensor, colour: Tensor) -> Tensor:
    """Mean cross entropy over the objects that have a colour of their own; 0 when none has."""
    total = F.cross_entropy(logits, colour, ignore_index=NO_COLOUR, reduction="sum")
    return total / (colour != NO_COLOUR).sum().clamp(min=1)


def pair_loss(
    net: AislewiseNet, out: dict[str, Tensor], batch: Batch, rng: np.random.Generator
) -> Tensor | None:
    """Sigmoid loss over all pairs of objects and true phrases (Zhai et al. 2023, SigLIP).

    Phrases are made of objects the camera sees. A pair is left out where nobody can tell: the phrase
    names a look and the object is out of view.
    """
    objects = {k: v.numpy() for k, v in batch.objects.items()}
    seen = np.flatnonzero(objects["in_view"])
    if not len(seen):
        return None
    chosen = rng.choice(seen, min(PHRASES, len(seen)), replace=False)
    ids, label, weight = _phrases(objects, chosen, rng)
    words = net.text(torch.from_numpy(ids))[2]
    things = at_cells(out["embedding"], batch.objects["cell"])
    logits = words @ things.T * net.pair_scale.exp() + net.pair_bias
    each = F.binary_cross_entropy_with_logits(logits, torch.from_numpy(label), reduction="none")
    return (each * torch.from_numpy(weight)).sum() / len(chosen)


def _phrases(
    objects: dict[str, np.ndarray], chosen: Sequence[int] | np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """ids (P, L); label, weight (P, M) float32: whether phrase p is true of object m, and can be known."""
    n = len(objects["cls"])
    ids = np.zeros((len(chosen), PHRASE_LENGTH), np.int64)
    label, weight = np.zeros((len(chosen), n), np.float32), np.ones((len(chosen), n), np.float32)
    for row, k in enumerate(chosen):
        cls = ObjectClass(int(objects["cls"][k]))
        colour, names_it = int(objects["colour"][k]), rng.random() < 0.7
        named = Colour(colour) if names_it and colour != NO_COLOUR else None
        text = describe(cls, named, objects["attributes"][k].tolist(), rng, colour_rate=1.0)
        ids[row] = encode(text, PHRASE_LENGTH)
        fits = objects["cls"] == cls
        look = False
        if named is not None and cls not in (ObjectClass.PERSON, ObjectClass.WET_FLOOR):
            look, fits = True, fits & (objects["colour"] == named)
        owner = OWNER.get(cls)
        if owner is not None and says_attribute(text, owner):
            value = objects["attributes"][:, owner] > 0.5
            look, fits = True, fits & (value == value[k])
        label[row] = fits
        if look:
            weight[row, (objects["cls"] == cls) & ~objects["in_view"]] = 0.0
    return ids, label, weight


def says_attribute(text: str, owner: int) -> bool:
    """Whether a phrase says anything about attribute `owner` (index into ATTRIBUTES)."""
    name = ATTRIBUTES[owner]
    padded = f" {text} "
    said = (*ATTRIBUTE_WORDS[name], *ATTRIBUTE_WORDS[f"not_{name}"])
    return any(f" {w} " in padded for w in said)


def sentence_losses(net: AislewiseNet, rng: np.random.Generator) -> dict[str, Tensor]:
    batch = {k: torch.from_numpy(v) for k, v in text_batch(rng, SENTENCES).items()}
    return text_losses(net.text(batch["ids"]), batch)
