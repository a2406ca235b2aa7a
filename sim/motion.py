"""The motion of many robots at once: what `sim.robots.SimRobot` does, for a whole fleet in one compiled loop.

Robot by robot and in their order, each against the true outlines of all others as they are by then, so that a fleet
moves exactly as single robots would. A bucket per cell of 1 m finds who is near.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

X, Y, YAW, SPEED, ANCHOR_X, ANCHOR_Y, BATTERY, DISTANCE, STOPPED_S, STOPS, PACE, ACTING_S = range(12)
"""Columns of the state, (N, STATE) float64."""
STATE = 12
SEQ, TO_X, TO_Y, ACTION, DWELL, MAX_SPEED = range(6)
"""Columns of a waypoint, (N, ROUTE, WAYPOINT) float64."""
WAYPOINT = 6
ROUTE = 64
IDLE, MOVING, ACTING, STOPPED, CHARGING = range(5)
"""Modes, as sim.fleet names them."""
NOTHING, PICK, DROP, CHARGE = range(4)
"""Actions of a waypoint."""
MOST_CORNERS = 16

SCANNER_M, FAR_M, TURN_FAR_M = 3.0, 5.5, 3.0
ARRIVED_M, ALIGNED_RAD = 1e-3, 0.01
LENGTH_M, WIDTH_M = 0.70, 0.50


@njit(cache=True)
def wrap(angle):  # type: ignore[no-untyped-def]
    """To (-pi, pi], to the bit as aislewise.geometry.wrap_angle."""
    return -((-angle + math.pi) % (2.0 * math.pi) - math.pi)


@njit(cache=True)
def corners(x, y, yaw, length, width, out):  # type: ignore[no-untyped-def]
    """The four corners of a rectangle into out (>= 4, 2)."""
    c, s = math.cos(yaw), math.sin(yaw)
    for k in range(4):
        u = 0.5 * length if k == 0 or k == 3 else -0.5 * length
        v = 0.5 * width if k < 2 else -0.5 * width
        out[k, 0] = x + c * u - s * v
        out[k, 1] = y + s * u + c * v


@njit(cache=True)
def gap(outline, n, x, y, yaw, half):  # type: ignore[no-untyped-def]
    """Smallest x > 0 in the frame (x, y, yaw) at which a convex outline enters |y| <= half; inf if never."""
    c, s = math.cos(yaw), math.sin(yaw)
    best, front, low, high = math.inf, -math.inf, math.inf, -math.inf
    u0 = (outline[n - 1, 0] - x) * c + (outline[n - 1, 1] - y) * s
    v0 = (outline[n - 1, 1] - y) * c - (outline[n - 1, 0] - x) * s
    for i in range(n):
        u1 = (outline[i, 0] - x) * c + (outline[i, 1] - y) * s
        v1 = (outline[i, 1] - y) * c - (outline[i, 0] - x) * s
        front, low, high = max(front, u1), min(low, v1), max(high, v1)
        if abs(v1) <= half:
            best = min(best, u1)
        for side in range(2):
            bound = -half if side == 0 else half
            if (v0 - bound) * (v1 - bound) < 0:
                best = min(best, u0 + (bound - v0) / (v1 - v0) * (u1 - u0))
        u0, v0 = u1, v1
    if front <= 0 or low >= half or high <= -half:
        return math.inf
    return max(0.0, best)


@njit(cache=True)
def overlap(a, n, b, m):  # type: ignore[no-untyped-def]
    """Whether two convex outlines overlap (separating axis theorem)."""
    for turn in range(2):
        p, k = (a, n) if turn == 0 else (b, m)
        for i in range(k):
            nx, ny = p[i - 1 if i else k - 1, 1] - p[i, 1], p[i, 0] - p[i - 1 if i else k - 1, 0]
            a_low, a_high, b_low, b_high = math.inf, -math.inf, math.inf, -math.inf
            for j in range(n):
                d = a[j, 0] * nx + a[j, 1] * ny
                a_low, a_high = min(a_low, d), max(a_high, d)
            for j in range(m):
                d = b[j, 0] * nx + b[j, 1] * ny
                b_low, b_high = min(b_low, d), max(b_high, d)
            if a_high <= b_low or b_high <= a_low:
                return False
    return True


@njit(cache=True)
def fill_buckets(state, cols, rows, head, after, home):  # type: ignore[no-untyped-def]
    """Everybody into the bucket of the cell (1 m) of its centre. head (rows * cols,), after, home (N,)."""
    head[:] = -1
    for i in range(len(state)):
        home[i] = _cell(state, i, cols, rows)
        after[i] = head[home[i]]
        head[home[i]] = i


@njit(cache=True)
def _cell(state, i, cols, rows):  # type: ignore[no-untyped-def]
    col = min(max(int(state[i, X]), 0), cols - 1)
    row = min(max(int(state[i, Y]), 0), rows - 1)
    return row * cols + col


@njit(cache=True)
def _rebucket(state, i, cols, rows, head, after, home):  # type: ignore[no-untyped-def]
    cell = _cell(state, i, cols, rows)
    if cell == home[i]:
        return
    k = head[home[i]]
    if k == i:
        head[home[i]] = after[i]
    else:
        while after[k] != i:
            k = after[k]
        after[k] = after[i]
    home[i], after[i], head[cell] = cell, head[cell], i


@njit(cache=True)
def gap_ahead(state, i, x, y, yaw, cols, rows, head, after, foreign, corners_of, middle, robot_like):  # type: ignore[no-untyped-def]
    """Metres from the edge of a robot at (x, y, yaw) to the nearest thing in its swept corridor. i: the robot itself,
    -1: none of the fleet. foreign (K, MOST_CORNERS, 2): outlines of others, of corners_of (K,) corners round
    middle (K, 2); robot_like (K,): they keep to their lanes as robots do."""
    best = SCANNER_M
    box = np.empty((4, 2))
    reach = int(FAR_M) + 1
    col, row = int(x), int(y)
    for r in range(max(0, row - reach), min(rows, row + reach + 1)):
        for c in range(max(0, col - reach), min(cols, col + reach + 1)):
            k = head[r * cols + c]
            while k >= 0:
                if k != i and abs(state[k, X] - x) + abs(state[k, Y] - y) < FAR_M:
                    corners(state[k, X], state[k, Y], state[k, YAW], LENGTH_M, WIDTH_M, box)
                    best = min(best, gap(box, 4, x, y, yaw, WIDTH_M / 2 + 0.02) - LENGTH_M / 2)
                k = after[k]
    for k in range(len(foreign)):
        if abs(middle[k, 0] - x) + abs(middle[k, 1] - y) < FAR_M:
            side = 0.02 if robot_like[k] else 0.06
            best = min(best, gap(foreign[k], corners_of[k], x, y, yaw, WIDTH_M / 2 + side) - LENGTH_M / 2)
    return best


@njit(cache=True)
def may_turn(state, i, x, y, yaw, cols, rows, head, after, foreign, corners_of, middle):  # type: ignore[no-untyped-def]
    """Whether the footprint at that pose is clear of everything that stands there."""
    mine, box = np.empty((4, 2)), np.empty((4, 2))
    corners(x, y, yaw, LENGTH_M + 0.02, WIDTH_M + 0.02, mine)
    reach = 2
    col, row = int(x), int(y)
    for r in range(max(0, row - reach), min(rows, row + reach + 1)):
        for c in range(max(0, col - reach), min(cols, col + reach + 1)):
            k = head[r * cols + c]
            while k >= 0:
                if k != i and abs(state[k, X] - x) + abs(state[k, Y] - y) < TURN_FAR_M:
                    corners(state[k, X], state[k, Y], state[k, YAW], LENGTH_M, WIDTH_M, box)
                    if overlap(mine, 4, box, 4):
                        return False
                k = after[k]
    for k in range(len(foreign)):
        if abs(middle[k, 0] - x) + abs(middle[k, 1] - y) < TURN_FAR_M:
            if overlap(mine, 4, foreign[k], corners_of[k]):
                return False
    return True


@njit(cache=True)
def contacts(state, cols, rows, head, after, foreign, corners_of, wall_start, wall_of, walls, out):  # type: ignore[no-untyped-def]
    """Pairs of overlapping footprints into out (P, 2): (robot, robot), (robot, -1 - k) for foreign outline k, and
    (robot, -1 - K - w) for wall w. wall_start (cells + 1,), wall_of: the walls near each cell. Returns how many
    there are; more than fit are only counted."""
    mine, box = np.empty((4, 2)), np.empty((4, 2))
    found = 0
    for i in range(len(state)):
        x, y = state[i, X], state[i, Y]
        corners(x, y, state[i, YAW], LENGTH_M, WIDTH_M, mine)
        col, row = int(x), int(y)
        for r in range(max(0, row - 1), min(rows, row + 2)):
            for c in range(max(0, col - 1), min(cols, col + 2)):
                k = head[r * cols + c]
                while k >= 0:
                    if k > i and abs(state[k, X] - x) < 1.0 and abs(state[k, Y] - y) < 1.0:
                        corners(state[k, X], state[k, Y], state[k, YAW], LENGTH_M, WIDTH_M, box)
                        if overlap(mine, 4, box, 4):
                            if found < len(out):
                                out[found, 0], out[found, 1] = i, k
                            found += 1
                    k = after[k]
        for k in range(len(foreign)):
            if abs(foreign[k, 0, 0] - x) < 6.0 and abs(foreign[k, 0, 1] - y) < 6.0:
                if overlap(mine, 4, foreign[k], corners_of[k]):
                    if found < len(out):
                        out[found, 0], out[found, 1] = i, -1 - k
                    found += 1
        cell = _cell(state, i, cols, rows)
        for p in range(wall_start[cell], wall_start[cell + 1]):
            w = wall_of[p]
            box[0, 0], box[0, 1], box[1, 0], box[1, 1] = walls[w, 2], walls[w, 3], walls[w, 0], walls[w, 3]
            box[2, 0], box[2, 1], box[3, 0], box[3, 1] = walls[w, 0], walls[w, 1], walls[w, 2], walls[w, 1]
            if overlap(mine, 4, box, 4):
                if found < len(out):
                    out[found, 0], out[found, 1] = i, -1 - len(foreign) - w
                found += 1
    return found


@njit(cache=True)
def step(  # type: ignore[no-untyped-def]
    dt, limits, state, mode, reached, acting, route, first, count, cols, rows, head, after, home,
    foreign, corners_of, middle, robot_like, done,
):  # fmt: skip
    """Advance everybody by dt seconds. limits (8,): speed, acceleration, braking, turning, reversing, scanner gap,
    seconds in a battery (driving), share of that drain while standing, seconds to charge it; route (N, ROUTE, WAYPOINT) with
    the next waypoint at first (N,) and count (N,) of them. done (N,): sequence id of the action that was completed, or
    -1."""
    idle_share, battery_s = limits[7], limits[6]
    for i in range(len(state)):
        done[i] = -1
        x0, y0 = state[i, X], state[i, Y]
        if state[i, PACE] <= 0.0:
            mode[i] = STOPPED
            state[i, SPEED] = max(0.0, state[i, SPEED] - limits[2] * dt)
            if state[i, SPEED] > 0.0:
                _advance(state, i, route, first, count, reached, state[i, SPEED] * dt)
        elif acting[i]:
            way = route[i, first[i]]
            mode[i] = CHARGING if way[ACTION] == CHARGE else ACTING
            if way[ACTION] == CHARGE:
                state[i, BATTERY] = min(1.0, state[i, BATTERY] + dt / limits[8])
            state[i, ACTING_S] -= dt
            if state[i, ACTING_S] <= 1e-9:
                acting[i] = False
                reached[i] = done[i] = int(way[SEQ])
                first[i] += 1
                count[i] -= 1
        else:
            _drive(
                dt, limits, state, mode, reached, acting, route, first, count, cols, rows, head, after,
                foreign, corners_of, middle, robot_like, i,
            )  # fmt: skip
        _rebucket(state, i, cols, rows, head, after, home)
        state[i, DISTANCE] += math.hypot(state[i, X] - x0, state[i, Y] - y0)
        if mode[i] == STOPPED:
            state[i, STOPS] += state[i, STOPPED_S] == 0.0
            state[i, STOPPED_S] += dt
        else:
            state[i, STOPPED_S] = 0.0
        if mode[i] != CHARGING:
            share = 1.0 if mode[i] == MOVING else idle_share
            state[i, BATTERY] = max(0.0, state[i, BATTERY] - share * dt / battery_s)


@njit(cache=True)
def _drive(  # type: ignore[no-untyped-def]
    dt, limits, state, mode, reached, acting, route, first, count, cols, rows, head, after,
    foreign, corners_of, middle, robot_like, i,
):  # fmt: skip
    off = math.hypot(state[i, X] - state[i, ANCHOR_X], state[i, Y] - state[i, ANCHOR_Y])
    if count[i] == 0 or route[i, first[i], ACTION] != NOTHING:
        if off > ARRIVED_M:
            _return(dt, limits, state, mode, cols, rows, head, after, foreign, corners_of, middle, robot_like, i)
        elif count[i] == 0:
            mode[i] = IDLE
            state[i, SPEED] = 0.0
        else:
            acting[i] = True
            state[i, ACTING_S] = route[i, first[i], DWELL]
            state[i, SPEED] = 0.0
            mode[i] = CHARGING if route[i, first[i], ACTION] == CHARGE else ACTING
        return
    dx, dy = route[i, first[i], TO_X] - state[i, X], route[i, first[i], TO_Y] - state[i, Y]
    if math.hypot(dx, dy) < ARRIVED_M:
        _reach(state, i, route, first, count, reached)
        return
    error = wrap(math.atan2(dy, dx) - state[i, YAW])
    if abs(error) > ALIGNED_RAD:
        if off > ARRIVED_M:
            _return(dt, limits, state, mode, cols, rows, head, after, foreign, corners_of, middle, robot_like, i)
            return
        state[i, SPEED] = 0.0
        most = limits[3] * state[i, PACE] * dt
        yaw = wrap(state[i, YAW] + max(-most, min(most, error)))
        if may_turn(state, i, state[i, X], state[i, Y], yaw, cols, rows, head, after, foreign, corners_of, middle):
            state[i, YAW] = yaw
            mode[i] = MOVING
        else:
            mode[i] = STOPPED
        return
    room = gap_ahead(
        state, i, state[i, X], state[i, Y], state[i, YAW], cols, rows, head, after, foreign, corners_of, middle,
        robot_like,
    ) - limits[5]  # fmt: skip
    allowed = _allowed(state, i, route, first, count, limits[1])
    safe = math.sqrt(2 * limits[2] * max(0.0, room))
    want = min(limits[0] * state[i, PACE], state[i, SPEED] + limits[1] * dt, allowed, safe)
    slowest = max(0.0, state[i, SPEED] - limits[2] * dt)
    state[i, SPEED] = max(want, slowest) if room > 0 else slowest
    mode[i] = STOPPED if safe < 0.05 else MOVING
    _advance(state, i, route, first, count, reached, state[i, SPEED] * dt)


@njit(cache=True)
def _allowed(state, i, route, first, count, accel):  # type: ignore[no-untyped-def]
    """To come to rest at the end of the straight, action-free run ahead, and to be as slow as is said where it is said."""
    x, y, total, allowed = state[i, X], state[i, Y], 0.0, math.inf
    for k in range(first[i], first[i] + count[i]):
        dx, dy = route[i, k, TO_X] - x, route[i, k, TO_Y] - y
        length = math.hypot(dx, dy)
        if route[i, k, ACTION] != NOTHING or (
            length > ARRIVED_M and abs(wrap(math.atan2(dy, dx) - state[i, YAW])) > 2 * ALIGNED_RAD
        ):
            break
        most = route[i, k, MAX_SPEED]
        if most > 0.0:
            allowed = min(allowed, math.sqrt(2 * accel * (total + most * most / (2 * accel))))
        total, x, y = total + length, route[i, k, TO_X], route[i, k, TO_Y]
    return min(allowed, math.sqrt(2 * accel * total))


@njit(cache=True)
def _advance(state, i, route, first, count, reached, left):  # type: ignore[no-untyped-def]
    while count[i] > 0 and route[i, first[i], ACTION] == NOTHING:
        dx, dy = route[i, first[i], TO_X] - state[i, X], route[i, first[i], TO_Y] - state[i, Y]
        length = math.hypot(dx, dy)
        heading = math.atan2(dy, dx) if length > ARRIVED_M else state[i, YAW]
        if abs(wrap(heading - state[i, YAW])) > 2 * ALIGNED_RAD:
            return
        if left < length - ARRIVED_M:
            k = left / length
            state[i, X] += k * dx
            state[i, Y] += k * dy
            state[i, YAW] = heading
            return
        state[i, X], state[i, Y] = route[i, first[i], TO_X], route[i, first[i], TO_Y]
        state[i, YAW] = heading
        left -= length
        _reach(state, i, route, first, count, reached)


@njit(cache=True)
def _reach(state, i, route, first, count, reached):  # type: ignore[no-untyped-def]
    way = route[i, first[i]]
    state[i, ANCHOR_X], state[i, ANCHOR_Y] = way[TO_X], way[TO_Y]
    reached[i] = int(way[SEQ])
    first[i] += 1
    count[i] -= 1


@njit(cache=True)
def _return(dt, limits, state, mode, cols, rows, head, after, foreign, corners_of, middle, robot_like, i):  # type: ignore[no-untyped-def]
    """Straight back to the last cell centre, in reverse when that lies behind."""
    dx, dy = state[i, ANCHOR_X] - state[i, X], state[i, ANCHOR_Y] - state[i, Y]
    length = math.hypot(dx, dy)
    c, s = math.cos(state[i, YAW]), math.sin(state[i, YAW])
    if state[i, SPEED] > 0.0:
        state[i, SPEED] = max(0.0, state[i, SPEED] - limits[2] * dt)
        ahead = min(state[i, SPEED] * dt, 0.2)
        state[i, X] += ahead * c
        state[i, Y] += ahead * s
        return
    yaw = state[i, YAW] + (math.pi if dx * c + dy * s < 0 else 0.0)
    room = gap_ahead(
        state, i, state[i, X], state[i, Y], yaw, cols, rows, head, after, foreign, corners_of, middle, robot_like
    ) - 0.05  # fmt: skip
    ahead = min(limits[4] * state[i, PACE] * dt, length, max(0.0, room))
    mode[i] = MOVING if ahead > 0 else STOPPED
    k = ahead / max(length, 1e-9)
    state[i, X] += k * dx
    state[i, Y] += k * dy
