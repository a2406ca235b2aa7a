"""The stream of orders of a shift: which goods, to which station, when, and by when; and what is called off."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from aislewise.clock import to_ns, to_s
from aislewise.errors import InputError
from aislewise.sitemap import Place, SiteMap
from aislewise.types import F64, Order, OrderLine
from sim.demand_profile import DemandConfig, off_plans_s
from sim.order_stream import digest, read_bytes, read_rows, to_orders
from sim.scenario import Scenario

STREAM = 7
"""Of the scenario's seed; with a second number behind it where there is a `demand`."""
TWO_LINES, URGENT, DUE = 0.2, 0.15, 0.7
"""Shares of orders with two lines, with priority, with a due time."""


@dataclass(frozen=True, slots=True)
class Cancellation:
    """The customer calls the order off; whether that still helps, the planner says."""

    order_id: str
    at_ns: int


@dataclass(frozen=True, slots=True)
class Demand:
    """What customers want of a shift, by time."""

    orders: tuple[Order, ...]
    cancellations: tuple[Cancellation, ...] = ()


def make_demand(scenario: Scenario, site: SiteMap) -> Demand:
    """The scenario's orders by release time, and its cancellations by time; the same for the same seed."""
    config = scenario.demand
    if config is None:
        return Demand(tuple(plain_orders(scenario, site)))
    if config.csv:
        orders, cancels = _recorded(config, site, scenario.orders)
    else:
        orders, cancels = _drawn(config, scenario, site), {}
    cancels = _drawn_cancels(config, orders, scenario.seed) | cancels
    order = sorted(cancels.items(), key=lambda kv: (kv[1], kv[0]))
    return Demand(tuple(orders), tuple(Cancellation(order_id, at_ns) for order_id, at_ns in order))


def make_orders(scenario: Scenario, site: SiteMap) -> list[Order]:
    """The orders of `make_demand`."""
    return list(make_demand(scenario, site).orders)


def _recorded(config: DemandConfig, site: SiteMap, limit: int) -> tuple[list[Order], dict[str, int]]:
    path = Path(config.csv)
    data = read_bytes(path)
    if config.csv_sha256 and digest(data) != config.csv_sha256:
        raise InputError("demand.csv", f"{path.name} has changed since the scenario was read")
    return to_orders(read_rows(data, path.name), site, config, limit, path.name)


def _drawn(config: DemandConfig, scenario: Scenario, site: SiteMap) -> list[Order]:
    """Each trait from a stream of its own, and for every order: more rush orders change no one's goods."""
    release_rng, goods_rng, kind_rng, due_rng = (
        np.random.default_rng([scenario.seed, STREAM, k]) for k in range(1, 5)
    )
    faces, stations = _ends(site, scenario.orders)
    if not scenario.orders:
        return []
    distance = _distances(faces, stations)
    weight = config.popularity(distance.min(axis=1), scenario.slotting_m, goods_rng)
    sku_of = {face: sku for sku, face in site.skus.items()}
    orders = []
    for k, at_s in enumerate(config.release_times(scenario.orders, scenario.release_s, release_rng)):
        two, urgent, has_due, rush = kind_rng.random(4) < (
            config.two_line_share, config.priority_share, config.due_share, config.rush_share
        )
        picks = goods_rng.choice(len(faces), size=2, replace=False, p=weight) if len(faces) > 1 else np.zeros(2, int)
        station = _station(distance[picks[0]], stations, goods_rng)
        lines = [_line(faces[int(i)], sku_of, station.id, bool(goods_rng.random() < 0.5)) for i in picks]
        low, high = config.rush_due_s if rush else config.due_s
        at_ns = to_ns(round(float(at_s), 1))
        lead_ns = to_ns(round(low + (high - low) * float(due_rng.random()), 1))
        priority = config.rush_priority if rush else int(urgent)
        due_ns = at_ns + lead_ns if has_due or rush else 0
        orders.append(Order(f"order-{k + 1:03d}", tuple(lines[: 1 + bool(two)]), at_ns, due_ns, priority))
    return orders


def _drawn_cancels(config: DemandConfig, orders: list[Order], seed: int) -> dict[str, int]:
    """Order -> when it is called off, ns."""
    rng = np.random.default_rng([seed, STREAM, 5])
    low, high = config.cancel_after_s
    out = {}
    for order in orders:
        luck, when = rng.random(2)
        if luck < config.cancel_share:
            out[order.order_id] = to_ns(off_plans_s(to_s(order.release_ns) + low + (high - low) * float(when)))
    return out


def plain_orders(scenario: Scenario, site: SiteMap) -> list[Order]:
    """The stream without a `demand`. Fast movers lie near the stations, and goods leave by a station near
    them, as slotting arranges it."""
    rng = np.random.default_rng([scenario.seed, STREAM])
    faces, stations = _ends(site, scenario.orders)
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


def _ends(site: SiteMap, orders: int) -> tuple[list[Place], list[Place]]:
    faces, stations = site.of_kind("pick_face"), site.of_kind("station")
    if orders and not (faces and stations):
        raise InputError("orders", "the site has no pick face or no station", ">= 1 of each")
    return faces, stations


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
