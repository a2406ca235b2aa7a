"""The stream of orders of a shift: which goods, to which station, when, and by when."""

from __future__ import annotations

import numpy as np

from aislewise.clock import to_ns
from aislewise.errors import InputError
from aislewise.sitemap import Place, SiteMap
from aislewise.types import F64, Order, OrderLine
from sim.scenario import Scenario

TWO_LINES, URGENT, DUE = 0.2, 0.15, 0.7
"""Shares of orders with two lines, with priority, with a due time."""


def make_orders(scenario: Scenario, site: SiteMap) -> list[Order]:
    """The scenario's orders by release time; the same for the same seed. Fast movers lie near the
    stations, and goods leave by a station near them, as slotting arranges it."""
    rng = np.random.default_rng([scenario.seed, 7])
    faces, stations = site.of_kind("pick_face"), site.of_kind("station")
    if scenario.orders and not (faces and stations):
        raise InputError("orders", "the site has no pick face or no station", ">= 1 of each")
    distance = _distances(faces, stations)
    weight = np.exp(-distance.min(axis=1) / scenario.slotting_m)
    weight /= weight.sum()
    sku_of = {face: sku for sku, face in site.skus.items()}
    release = np.sort(rng.uniform(0.0, scenario.release_s, scenario.orders))
    release[: (scenario.orders + 3) // 4] *= 0.1  # the day begins with some work waiting
    release.sort()
    orders = []
    for k, at_s in enumerate(release):
        count = 2 if rng.random() < TWO_LINES else 1
        picks = rng.choice(len(faces), size=count, replace=False, p=weight)
        station = _station(distance[picks[0]], stations, rng)
        lines = tuple(_line(faces[int(i)], sku_of, station.id, bool(rng.random() < 0.5)) for i in picks)
        at_ns = to_ns(round(float(at_s), 1))
        due_ns = at_ns + to_ns(round(float(rng.uniform(150, 300)))) if rng.random() < DUE else 0
        priority = 1 if rng.random() < URGENT else 0
        orders.append(Order(f"order-{k + 1:03d}", lines, at_ns, due_ns, priority))
    return orders


def _distances(faces: list[Place], stations: list[Place]) -> F64:
    """(faces, stations) metres along the grid's axes."""
    a = np.array([[p.x_m, p.y_m] for p in faces])
    b = np.array([[p.x_m, p.y_m] for p in stations])
    distance: F64 = np.abs(a[:, None] - b[None]).sum(axis=2)
    return distance


def _station(distance: F64, stations: list[Place], rng: np.random.Generator) -> Place:
    weight = np.exp(-(distance - distance.min()) / 10.0)
    return stations[int(rng.choice(len(stations), p=weight / weight.sum()))]


def _line(face: Place, sku_of: dict[str, str], station: str, by_sku: bool) -> OrderLine:
    if by_sku and face.id in sku_of:
        return OrderLine(station, sku=sku_of[face.id])
    return OrderLine(station, pick_from=face.id)
