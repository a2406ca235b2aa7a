"""`$(...)` substitutions of ROS 2 launch files.

Grammar as in launch's front end: `$(name argument ...)`, arguments separated by blanks, single or
double quotes keep an argument together, substitutions nest, a backslash takes the meaning away.
`$(eval ...)` evaluates a small, side-effect-free part of Python; `$(command ...)` is refused.
"""

from __future__ import annotations

import ast
import math
import operator
from collections.abc import Callable
from typing import Any


class SubstitutionError(ValueError):
    """A substitution that cannot be performed; the message quotes it."""


Handler = Callable[[list[str]], str]


def substitute(text: str, handlers: dict[str, Handler]) -> str:
    """Perform all substitutions in `text`."""
    value, end = _read(text, 0, handlers, stop="")
    assert end == len(text)
    return value


def _read(text: str, index: int, handlers: dict[str, Handler], stop: str) -> tuple[str, int]:
    """Read up to an unescaped character in `stop`; returns (value, index of that character)."""
    out: list[str] = []
    while index < len(text) and text[index] not in stop:
        char = text[index]
        if char == "\\" and text[index + 1 : index + 2] in tuple("$\\'\"()"):
            out.append(text[index + 1])
            index += 2
        elif text.startswith("$(", index):
            value, index = _read_substitution(text, index, handlers)
            out.append(value)
        else:
            out.append(char)
            index += 1
    return "".join(out), index


def _read_substitution(text: str, start: int, handlers: dict[str, Handler]) -> tuple[str, int]:
    index = start + 2
    words: list[str] = []
    while True:
        while text[index : index + 1] == " ":
            index += 1
        if index >= len(text):
            raise SubstitutionError(f"missing ')' in {text!r}")
        if text[index] == ")":
            break
        if text[index] in "'\"":
            quote = text[index]
            word, index = _read(text, index + 1, handlers, stop=quote)
            if index >= len(text):
                raise SubstitutionError(f"missing {quote} in {text!r}")
            index += 1
        else:
            word, index = _read(text, index, handlers, stop=" )'\"")
        words.append(word)
    if not words:
        raise SubstitutionError(f"empty substitution in {text!r}")
    source = text[start : index + 1]
    name, arguments = words[0], words[1:]
    if name == "command":
        raise SubstitutionError(f"{source}: running commands from launch files is not supported")
    handler = handlers.get(name)
    if handler is None:
        raise SubstitutionError(f"{source}: unknown substitution {name!r}")
    try:
        return handler(arguments), index + 1
    except SubstitutionError as error:
        raise SubstitutionError(f"{source}: {error}") from error


def as_bool(text: str) -> bool:
    """Truth value of a condition, as launch defines it: true, 1, false or 0."""
    lowered = text.strip().lower()
    if lowered not in ("true", "1", "false", "0"):
        raise SubstitutionError(f"{text!r} is neither true nor false")
    return lowered in ("true", "1")


def _truth(value: bool) -> str:
    return "true" if value else "false"


def _arguments(count: int | range, handler: Callable[..., str]) -> Handler:
    """A handler that checks how many arguments it is given."""
    allowed = range(count, count + 1) if isinstance(count, int) else count

    def check(arguments: list[str]) -> str:
        if len(arguments) not in allowed:
            raise SubstitutionError(f"takes {allowed.start} to {allowed.stop - 1} arguments")
        return handler(*arguments)

    return check


LOGIC: dict[str, Handler] = {
    "not": _arguments(1, lambda a: _truth(not as_bool(a))),
    "and": _arguments(2, lambda a, b: _truth(as_bool(a) and as_bool(b))),
    "or": _arguments(2, lambda a, b: _truth(as_bool(a) or as_bool(b))),
    "equals": _arguments(2, lambda a, b: _truth(a == b)),
    "not-equals": _arguments(2, lambda a, b: _truth(a != b)),
    "if": _arguments(range(2, 4), lambda c, a, b="": a if as_bool(c) else b),
    "eval": _arguments(1, lambda expression: evaluate(expression)),
}
"""Substitutions that depend on nothing but their arguments."""

_OPERATORS: dict[type, Callable[..., Any]] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul,
    ast.Div: operator.truediv, ast.FloorDiv: operator.floordiv, ast.Mod: operator.mod,
    ast.USub: operator.neg, ast.UAdd: operator.pos, ast.Not: operator.not_,
    ast.Eq: operator.eq, ast.NotEq: operator.ne, ast.Lt: operator.lt, ast.LtE: operator.le,
    ast.Gt: operator.gt, ast.GtE: operator.ge,
    ast.In: lambda a, b: a in b, ast.NotIn: lambda a, b: a not in b,
}  # fmt: skip
_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "abs": abs, "bool": bool, "float": float, "int": int, "len": len, "max": max, "min": min,
    "round": round, "str": str, "ceil": math.ceil, "floor": math.floor,
}  # fmt: skip
_NAMES = {"pi": math.pi, "true": True, "false": False}
MAX_EXPRESSION = 1000
MAX_RESULT = 10_000


def evaluate(expression: str) -> str:
    """Value of an arithmetic, comparison or string expression, as text.

    Python's syntax, less names, attributes, calls (other than a few conversions) and powers: what
    is left can neither reach outside nor take long.
    """
    if len(expression) > MAX_EXPRESSION:
        raise SubstitutionError(f"expression is longer than {MAX_EXPRESSION} characters")
    try:
        return str(_evaluate(ast.parse(expression.strip(), mode="eval").body))
    except SubstitutionError:
        raise
    except (SyntaxError, ArithmeticError, TypeError, ValueError, RecursionError) as error:
        raise SubstitutionError(f"cannot evaluate {expression!r}: {error}") from error


def _evaluate(node: ast.expr) -> Any:
    match node:
        case ast.Constant(value=bool() | int() | float() | str() as value):
            return value
        case ast.Name(id=name) if name in _NAMES:
            return _NAMES[name]
        case ast.List(elts=items) | ast.Tuple(elts=items):
            return [_evaluate(item) for item in items]
        case ast.UnaryOp(op=op, operand=operand) if type(op) in _OPERATORS:
            return _OPERATORS[type(op)](_evaluate(operand))
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _OPERATORS:
            return _bounded(_OPERATORS[type(op)], op, _evaluate(left), _evaluate(right))
        case ast.BoolOp(op=op, values=values):
            want = isinstance(op, ast.Or)
            result: Any = None
            for item in values:
                result = _evaluate(item)
                if bool(result) is want:
                    break
            return result
        case ast.IfExp(test=test, body=body, orelse=orelse):
            return _evaluate(body) if _evaluate(test) else _evaluate(orelse)
        case ast.Compare(left=left, ops=ops, comparators=others):
            current = _evaluate(left)
            for comparison, other in zip(ops, map(_evaluate, others), strict=True):
                if type(comparison) not in _OPERATORS:
                    break
                if not _OPERATORS[type(comparison)](current, other):
                    return False
                current = other
            else:
                return True
        case ast.Call(func=ast.Name(id=name), args=args, keywords=[]) if name in _FUNCTIONS:
            return _FUNCTIONS[name](*map(_evaluate, args))
    raise SubstitutionError(f"{ast.unparse(node)!r} is not allowed in an expression")


def _bounded(function: Callable[..., Any], op: ast.operator, left: Any, right: Any) -> Any:
    """Apply an operator, but refuse to build huge strings or lists by multiplication."""
    if isinstance(op, ast.Mult):
        for sequence, count in ((left, right), (right, left)):
            if isinstance(sequence, str | list) and isinstance(count, int):
                if len(sequence) * count > MAX_RESULT:
                    raise SubstitutionError("result is too long")
    if isinstance(op, ast.Mod) and isinstance(left, str):
        raise SubstitutionError("string formatting is not allowed in an expression")
    return function(left, right)
