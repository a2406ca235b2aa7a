"""Orders of a real warehouse from a CSV file, as exports of warehouse management systems look.

One row is one order line; rows of one order need not stand together. Columns, by any of the names in
COLUMNS, in any order and spelling of capitals, spaces and dashes; others are left alone:

| column | what | if it is missing or empty |
|---|---|---|
| order_id | the customer's own id | an error |
| release | when the order came: seconds, or ISO 8601 (without an offset: UTC) | an error |
| sku, location | what to fetch, or where from; the location counts where both are there | an error |
| quantity | in units; `units_per_load` of them are one load | 1 |
| station | where to: a station, or any dock or lane name of yours | drawn from the order's id |
| due, cancelled | when it must be there, when it was called off; as release | none |
| priority | -1000 to 1000, or low, normal, high, rush, urgent, express | 0 |

Tolerated: a byte-order mark, UTF-16, Windows-1252, the separators `,` `;` tab `|`, blank lines and blank ends of
lines, decimal commas, a due time before its release (the order is late from the beginning). Goods and docks that
the site does not know are given to a pick face or station by a hash of their name: the same name, the same place.
"""

from __future__ import annotations

import csv
import hashlib
import io
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

from aislewise.clock import to_ns
from aislewise.errors import InputError
from aislewise.sitemap import Place, SiteMap
from aislewise.types import Order, OrderLine
from sim.demand_profile import DemandConfig, off_plans_s

MAX_BYTES, MAX_ROWS, MAX_ID, MAX_LINES, MAX_LOADS, MAX_PRIORITY = 64_000_000, 500_000, 64, 64, 1000, 1000
LATEST_S = 1e8
"""After the first release, simulated: three years, and far from the end of the clock's range."""
COLUMNS = {
    "order_id": ("order_id", "order", "order_no", "order_nr", "order_number", "orderid", "order_ref"),
    "release": (
        "release", "release_s", "release_time", "released", "released_at", "created", "created_at", "order_time", "order_date",
    ),
    "sku": ("sku", "item", "item_no", "item_id", "article", "article_no", "product", "product_id", "material"),
    "location": ("location", "pick_location", "pick_from", "from_location", "source", "bin", "slot", "pick_face"),
    "quantity": ("quantity", "qty", "pieces", "units", "amount"),
    "station": ("station", "dock", "deliver_to", "destination", "to_location", "ship_lane", "lane"),
    "due": ("due", "due_s", "due_time", "due_at", "ship_by", "cut_off", "cutoff", "deadline"),
    "priority": ("priority", "prio"),
    "cancelled": ("cancelled", "cancelled_at", "canceled", "canceled_at", "cancel_time", "cancelled_s"),
}
PRIORITIES = {"low": -1, "normal": 0, "standard": 0, "medium": 0, "high": 1, "rush": 5, "urgent": 5, "express": 5}


@dataclass(frozen=True, slots=True)
class Row:
    """One order line as the file has it. Times in s since the epoch or since a zero of the file's own."""

    number: int
    order_id: str
    release_s: float
    goods: str
    quantity: float = 1.0
    station: str = ""
    due_s: float | None = None
    priority: int = 0
    cancelled_s: float | None = None


@dataclass
class _Group:
    """The rows of one order."""

    rows: list[Row] = field(default_factory=list)

    @property
    def release_s(self) -> float:
        return min(r.release_s for r in self.rows)


def read_bytes(path: Path) -> bytes:
    """Raises InputError if it cannot be read or is too large."""
    try:
        if path.stat().st_size > MAX_BYTES:
            raise InputError("demand.csv", f"{path.name} has {path.stat().st_size} bytes", MAX_BYTES)
        return path.read_bytes()
    except OSError as error:
        raise InputError("demand.csv", f"cannot read {path}: {error.strerror}") from error


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def located(config: DemandConfig, folder: Path) -> DemandConfig:
    """With the file found beside the scenario's, and what is in it vouched for: results of another day's orders
    must not pass for this one's."""
    if not config.csv:
        return config
    path = folder / config.csv
    return replace(config, csv=str(path.resolve()), csv_sha256=digest(read_bytes(path)))


def read_rows(data: bytes, name: str = "csv") -> list[Row]:
    """All rows of the file. Raises InputError naming file, row (as an editor counts lines) and column."""
    text = _decoded(data, name)
    first = text.lstrip("\r\n ").partition("\n")[0]
    separator = max(",;\t|", key=first.count)
    lines = csv.reader(io.StringIO(text, newline=""), delimiter=separator, skipinitialspace=True)
    rows: list[Row] = []
    reader: _RowReader | None = None
    try:
        for values in lines:
            values = [v.strip() for v in values]
            if not any(values):
                continue
            if reader is None:
                reader = _RowReader(name, values, separator)
                continue
            if len(rows) == MAX_ROWS:
                raise InputError(f"{name}:{lines.line_num}", "too many rows", MAX_ROWS)
            rows.append(reader.row(lines.line_num, values))
    except csv.Error as error:
        raise InputError(f"{name}:{lines.line_num}", f"is no CSV: {error}") from error
    if not rows:
        raise InputError(name, "has no rows", "a header and at least one row")
    return rows


def _decoded(data: bytes, name: str) -> str:
    """UTF-8 first, which hardly any other text passes for; then what spreadsheets save."""
    codecs = ("utf-16",) if data[:2] in (b"\xff\xfe", b"\xfe\xff") else ("utf-8-sig", "cp1252")
    for codec in codecs:
        try:
            text = data.decode(codec)
        except UnicodeDecodeError:
            continue
        if "\0" not in text:
            return text
    raise InputError(name, "is no text", "UTF-8, UTF-16 or Windows-1252")


class _RowReader:
    """Knows where each column stands, and what the file's times are counted in."""

    def __init__(self, name: str, header: Sequence[str], separator: str) -> None:
        self._name, self._header, self._comma = name, list(header), separator != ","
        self._at: dict[str, int] = {}
        self._iso: bool | None = None
        for k, title in enumerate(header):
            plain = re.sub(r"[^a-z0-9]+", "_", title.lower()).strip("_")
            column = next((c for c, names in COLUMNS.items() if plain in names), None)
            if column is None:
                continue
            if column in self._at:
                raise InputError(f"{name}:header", f"{title!r} and {header[self._at[column]]!r} both are the {column}", "one")
            self._at[column] = k
        for column in ("order_id", "release"):
            if column not in self._at:
                raise InputError(f"{name}:header", f"has no column {column}", COLUMNS[column])
        if "sku" not in self._at and "location" not in self._at:
            raise InputError(f"{name}:header", "has no column sku or location", COLUMNS["sku"] + COLUMNS["location"])

    def row(self, number: int, values: list[str]) -> Row:
        if any(values[len(self._header) :]):
            raise InputError(f"{self._name}:{number}", f"has {len(values)} fields", f"{len(self._header)} as the header")
        values = values + [""] * (len(self._header) - len(values))
        got = {column: values[k] for column, k in self._at.items()}
        goods = got.get("location") or got.get("sku", "")
        release_s = self._time(number, "release", got["release"])
        if release_s is None:
            raise self._error(number, "release", "is empty", "seconds or ISO 8601")
        return Row(
            number, self._text(number, "order_id", got["order_id"]), release_s,
            self._text(number, "sku" if "sku" in self._at else "location", goods), self._quantity(number, got.get("quantity", "")),
            got.get("station", ""), self._time(number, "due", got.get("due", "")),
            self._priority(number, got.get("priority", "")), self._time(number, "cancelled", got.get("cancelled", "")),
        )  # fmt: skip

    def _error(self, number: int, column: str, problem: str, limit: object) -> InputError:
        return InputError(f"{self._name}:{number}.{self._header[self._at[column]]}", problem, limit)

    def _text(self, number: int, column: str, text: str) -> str:
        if not 0 < len(text) <= MAX_ID or not text.isprintable():
            raise self._error(number, column, f"{text!r:.80}", f"1 to {MAX_ID} printable characters")
        return text

    def _number(self, text: str) -> float | None:
        if self._comma and text.count(",") == 1 and "." not in text:
            text = text.replace(",", ".")
        try:
            value = float(text)
        except ValueError:
            return None
        return value if math.isfinite(value) and "_" not in text else None

    def _quantity(self, number: int, text: str) -> float:
        if not text:
            return 1.0
        value = self._number(text)
        if value is None or not 0.0 < value <= 1e9:
            raise self._error(number, "quantity", f"{text!r:.40}", "a number above 0")
        return value

    def _priority(self, number: int, text: str) -> int:
        if text.lower() in PRIORITIES or not text:
            return PRIORITIES.get(text.lower(), 0)
        value = self._number(text)
        if value is None or value != int(value) or abs(value) > MAX_PRIORITY:
            raise self._error(number, "priority", f"{text!r:.40}", f"a whole number to {MAX_PRIORITY}, or {', '.join(PRIORITIES)}")
        return int(value)

    def _time(self, number: int, column: str, text: str) -> float | None:
        """s; None where nothing stands."""
        if not text:
            return None
        value, iso = self._number(text), False
        if value is None:
            iso = True
            try:
                moment = datetime.fromisoformat(text)
            except ValueError:
                raise self._error(number, column, f"{text!r:.40}", "seconds or ISO 8601 (2026-03-01T08:15:00Z)") from None
            value = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
        if self._iso is not None and iso != self._iso:
            raise self._error(number, column, f"{text!r:.40}", "seconds or ISO 8601, the same in the whole file")
        self._iso = iso
        return value


# --- onto a site -------------------------------------------------------------------------------


def to_orders(
    rows: Sequence[Row], site: SiteMap, config: DemandConfig, limit: int, name: str = "csv"
) -> tuple[list[Order], dict[str, int]]:
    """The first `limit` orders by release, on this site, from simulated time 0 on; and when those of them
    that the file calls off are called off, ns. Raises InputError naming file, row and field."""
    groups: dict[str, _Group] = {}
    for row in rows:
        groups.setdefault(row.order_id, _Group()).rows.append(row)
    chosen = sorted(groups.items(), key=lambda kv: kv[1].release_s)[:limit]
    start_s = chosen[0][1].release_s if chosen else 0.0
    mapping = _Mapping(site)
    orders, cancels = [], {}
    for order_id, group in chosen:
        if len(group.rows) > MAX_LINES:
            raise InputError(f"{name}:{group.rows[MAX_LINES].number}", f"{order_id} has more lines", MAX_LINES)
        last = max(r.release_s for r in group.rows)
        at_s = _simulated(group.release_s, start_s, config, name, group.rows[0].number)
        lines = tuple(mapping.line(row, _loads(row, config, name)) for row in group.rows)
        due = [_simulated(max(r.due_s, last), start_s, config, name, r.number) for r in group.rows if r.due_s is not None]
        called = [r.cancelled_s for r in group.rows if r.cancelled_s is not None]
        release_ns = to_ns(at_s)
        due_ns = max(1, release_ns, to_ns(min(due))) if due else 0
        orders.append(Order(order_id, lines, release_ns, due_ns, max(r.priority for r in group.rows)))
        if called:
            off_s = _simulated(max(min(called), group.release_s), start_s, config, name, group.rows[0].number)
            cancels[order_id] = to_ns(off_plans_s(max(off_s, at_s + 0.1)))
    return orders, cancels


def _simulated(at_s: float, start_s: float, config: DemandConfig, name: str, number: int) -> float:
    """On the simulator's grid of 0.1 s."""
    out = round((at_s - start_s) / config.speedup, 1)
    if not 0.0 <= out <= LATEST_S:
        raise InputError(f"{name}:{number}", f"lies {out:g} s after the first release", f"0 to {LATEST_S:g} s")
    return out


def _loads(row: Row, config: DemandConfig, name: str) -> int:
    loads = math.ceil(row.quantity / config.units_per_load - 1e-9)
    if loads > MAX_LOADS:
        raise InputError(f"{name}:{row.number}", f"a quantity of {row.quantity:g} makes {loads} loads", f"{MAX_LOADS} (raise units_per_load)")
    return max(1, loads)


class _Mapping:
    """The file's names for goods and docks onto the site's places."""

    def __init__(self, site: SiteMap) -> None:
        self._site = site
        self._faces, self._stations = site.of_kind("pick_face"), site.of_kind("station")
        if not (self._faces and self._stations):
            raise InputError("orders", "the site has no pick face or no station", ">= 1 of each")

    def line(self, row: Row, loads: int) -> OrderLine:
        station = self._known(row.station, self._stations) or self._hashed(row.station or row.order_id, self._stations)
        if row.goods in self._site.skus:
            return OrderLine(station, sku=row.goods, quantity=loads)
        face = self._known(row.goods, self._faces) or self._hashed(row.goods, self._faces)
        return OrderLine(station, pick_from=face, quantity=loads)

    @staticmethod
    def _known(name: str, places: Sequence[Place]) -> str:
        return next((p.id for p in places if p.id == name), "")

    @staticmethod
    def _hashed(name: str, places: Sequence[Place]) -> str:
        number = int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), "big")
        return places[number % len(places)].id
