"""Executable `instruction_node`: the instruction node with the model's text tower plugged in."""

from __future__ import annotations

from aislewise.node import run
from fusion.infer import PhraseEncoder
from perception.instruction_node import InstructionNode


def main(args: list[str] | None = None) -> int:
    return run(lambda: InstructionNode(PhraseEncoder()), args)
