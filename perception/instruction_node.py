"""Instruction node: typed words in, a parsed instruction out."""

from __future__ import annotations

from typing import Any

from aislewise import messages, topics
from aislewise.node import AislewiseNode
from perception.language import InstructionParser, Tagger


class InstructionNode(AislewiseNode):
    """Words that cannot be used are refused with the reason; nothing is guessed."""

    def __init__(self, tagger: Tagger | None = None, **kwargs: Any) -> None:
        super().__init__("instruction", **kwargs)
        self.parser = InstructionParser(tagger)
        self._parsed = self.advertise(topics.INSTRUCTION)
        self.listen(topics.INSTRUCTION_TEXT, self.on_text)

    def on_text(self, msg: Any) -> None:
        self._parsed.publish(messages.to_instruction_msg(self.parser.parse(msg.data), self.now_ns()))
