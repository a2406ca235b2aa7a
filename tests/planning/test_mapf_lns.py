"""The kernels of one-shot path finding against plain searches and their own books."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from itertools import combinations, count, product

import numpy as np
import pytest

from planning import lacam
from planning import mapf_kernels as kernels
from planning.check import check_paths
from planning.distance import I32, Bool, largest_component, neighbours
from planning.mapf import number, with_lanes
from planning.mapf_lns import Ledger, Problem, Worker, work_together
from planning.pibt import seed_state

HORIZON = 127


def floor(seed: int, height: int = 7, width: int = 9) -> Bool:
    return largest_component(np.random.default_rng(seed).random((height, width)) < 0.75)


def problem(free: Bool, agents: int, seed: int) -> Problem:
    cells = np.flatnonzero(free.ravel())
    rng = np.random.default_rng(seed)
    with ThreadPoolExecutor(1) as pool:
        return number(free, rng.permutation(cells)[:agents], rng.permutation(cells)[:agents], pool, 1)


def planned(free: Bool, agents: int, seed: int) -> Worker:
    """A worker with as many paths as prioritised planning finds."""
    given = problem(free, agents, seed)
    worker = Worker(given, HORIZON - 1, seed)
    worker.plan_in_turn(np.arange(agents, dtype=np.int32), agents, lambda: True)
    return worker


def repaired(free: Bool, agents: int, seed: int) -> Worker:
    worker = planned(free, agents, seed)
    stamp = 1
    while worker.missing and stamp < 3000:
        stamp, _ = kernels.repair(worker.state, stamp, 50_000, worker.horizon)
    assert not worker.missing
    worker.rounds = stamp - 1
    return worker


def earliest(worker: Worker, agent: int) -> int:
    """First step from which `agent` can stay on its goal, by breadth-first search over cells and steps round the
    paths of all others; -1 if there is none."""
    state = worker.state
    others = [j for j in range(len(state.goals)) if j != agent and state.arrive[j] >= 0]
    at = np.array([[state.path[j, min(t, state.arrive[j])] for t in range(HORIZON + 1)] for j in others])
    goal_free = max((t + 1 for row in at for t in range(HORIZON + 1) if row[t] == state.goals[agent]), default=0)
    here = {int(state.starts[agent])} if not len(at) or state.starts[agent] not in at[:, 0] else set()
    for t in range(HORIZON + 1):
        if state.goals[agent] in here and t >= goal_free:
            return t
        now, then = (set(at[:, t]), set(at[:, min(t + 1, HORIZON)])) if len(at) else (set(), set())
        moves = {(int(a), int(b)) for a, b in zip(at[:, t], at[:, min(t + 1, HORIZON)], strict=True)} if now else set()
        onward = set()
        for cell in here:
            for other in [cell, *[int(c) for c in state.nbr[cell] if c >= 0]]:
                if other not in then and (other, cell) not in moves:
                    onward.add(other)
        here = onward
    return -1


def books_agree(worker: Worker) -> None:
    """Reservations are those of the paths, and nothing else."""
    state = worker.state
    busy = np.zeros((len(state.nbr), state.busy.shape[1] * 64), bool)
    for i in np.flatnonzero(state.arrive >= 0):
        for t in range(busy.shape[1]):
            cell = state.path[i, min(t, state.arrive[i])]
            assert not busy[cell, t]
            busy[cell, t] = True
    bits = np.unpackbits(state.busy.view(np.uint8), axis=1, bitorder="little").astype(bool)
    assert (bits == busy).all()


@pytest.mark.parametrize("seed", range(12))
def test_a_path_is_as_early_as_that_of_a_plain_search_over_cells_and_steps(seed: int) -> None:
    worker = planned(floor(seed), 9, seed)
    state = worker.state
    for agent in range(9):
        without = np.where(np.arange(9) == agent, -1, state.arrive).astype(np.int32)
        kernels.adopt(state, state.path.copy(), without)
        arrival, _ = kernels.find_path(state, agent, HORIZON)
        assert arrival == earliest(worker, agent)
        if arrival >= 0:
            kernels._place(state.path, state.arrive, state.busy, state.occ, agent)


@pytest.mark.parametrize("seed", range(6))
def test_repair_and_improvement_keep_the_books_and_never_cost_steps(seed: int) -> None:
    free = floor(seed)
    worker = repaired(free, 10, seed)
    books_agree(worker)
    cost, stamp = worker.cost, worker.rounds + 1
    for _ in range(30):
        stamp, _ = kernels.improve(worker.state, stamp, 2000)
        assert worker.cost <= cost
        cost = worker.cost
    books_agree(worker)
    paths = np.flatnonzero(free.ravel())[worker.paths()]
    assert not check_paths(free, paths[0], paths[-1], paths)
    assert (worker.paths()[-1] == worker.state.goals).all()


@pytest.mark.parametrize("seed", range(6))
def test_a_round_taken_back_leaves_the_plan_as_it_was(seed: int) -> None:
    worker = repaired(floor(seed), 10, seed)
    tried = 0
    for stamp in range(1000, 1200):
        arrive = worker.state.arrive.copy()
        path = [worker.state.path[i, : a + 1].copy() for i, a in enumerate(arrive)]
        kernels.improve(worker.state, stamp, 1)
        if worker.state.note_end[0]:
            tried += 1
            note = worker.state.note[: worker.state.note_end[0]].copy()
            kernels.take_back(worker.state)
            assert (worker.state.arrive == arrive).all()
            assert all((worker.state.path[i, : a + 1] == path[i]).all() for i, a in enumerate(arrive))
            books_agree(worker)
            assert kernels.replay(worker.state, note, 1)
    assert tried or worker.done


@pytest.mark.parametrize("seed", range(4))
def test_workers_on_one_ledger_end_with_one_valid_plan(seed: int) -> None:
    free = floor(seed, 12, 14)
    first = repaired(free, 25, seed)
    given = Problem(first.state.nbr, first.state.pool, first.state.starts, first.state.goals)
    second = Worker(given, HORIZON - 1, seed + 100)
    kernels.adopt(second.state, first.state.path, first.state.arrive)
    before, ledger = first.cost, Ledger()
    for _ in range(40):  # in turns, so that each finds news of the other
        for worker in (first, second):
            for _ in range(3):
                worker.rounds = kernels.improve(worker.state, worker.rounds + 1, 3000)[0] - 1
                if worker.state.note_end[0]:
                    break
            worker.exchange(ledger)
    for worker in (first, second):
        worker.exchange(ledger)
        books_agree(worker)
    assert first.cost == second.cost < before and (first.paths() == second.paths()).all()
    assert len(ledger.rounds) > 1


def test_threads_on_one_plan_keep_it_valid() -> None:
    free = floor(1, 12, 14)
    first = repaired(free, 25, 1)
    given = Problem(first.state.nbr, first.state.pool, first.state.starts, first.state.goals)
    before, ticks = first.cost, count()
    with ThreadPoolExecutor(2) as pool:
        workers = [first, Worker(given, HORIZON - 1, 2)]
        best = work_together(workers, lambda: next(ticks) < 400, lambda: float(next(ticks)), pool)
    books_agree(best)
    assert best.cost < before


def lacam_plan(free: Bool, starts: list[int], goals: list[int]) -> I32 | None:
    with ThreadPoolExecutor(1) as pool:
        given = number(free, starts, goals, pool, 1)
    left = count()
    return lacam.plan(
        given.nbr, with_lanes(given, free, lambda: True), given.pool, 20, given.starts, given.goals, seed_state(0),
        lambda: next(left) < 50,
    )  # fmt: skip


def solvable(free: Bool, starts: list[int], goals: list[int]) -> bool:
    """By search over all placements of the agents."""
    nbr = {int(c): {int(c), *(int(n) for n in row if n >= 0)} for c, row in enumerate(neighbours(free))}
    seen, queue = {tuple(starts)}, [tuple(starts)]
    while queue:
        now = queue.pop()
        if now == tuple(goals):
            return True
        for then in product(*(nbr[c] for c in now)):
            crossed = any(then[i] == now[j] and then[j] == now[i] for i, j in combinations(range(len(now)), 2))
            if len(set(then)) == len(then) and not crossed and then not in seen:
                seen.add(then)
                queue.append(then)
    return False


def test_lacam_finds_a_plan_exactly_where_there_is_one() -> None:
    outcomes = set()
    for seed in range(60):
        free = floor(seed, 2, 5)
        cells = np.flatnonzero(free.ravel())
        if not 4 <= len(cells) <= 7:
            continue
        rng = np.random.default_rng(seed)
        starts, goals = rng.permutation(cells)[:3].tolist(), rng.permutation(cells)[:3].tolist()
        plan = lacam_plan(free, starts, goals)
        assert (plan is not None) == solvable(free, starts, goals)
        assert plan is None or not check_paths(free, starts, goals, cells[plan])
        outcomes.add(plan is None)
    assert outcomes == {True, False}


def test_tables_with_lanes_lead_to_the_goal_from_everywhere() -> None:
    free = np.ones((9, 40), bool)
    free[1:8:2, 3:37] = False
    given = problem(free, 5, 0)
    tables = with_lanes(given, free, lambda: True)
    for goal, row in zip(given.goals, tables, strict=True):
        nearest = np.where(given.nbr >= 0, row[given.nbr], kernels.FAR).min(axis=1)
        assert row[goal] == 0 and (np.delete(nearest, goal) < np.delete(row, goal)).all()
    assert len(np.unique(tables[0] / np.maximum(given.pool[0], 1))) > 2, "no way is dearer than another"
