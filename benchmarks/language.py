"""How well instructions are understood: held-out warehouse wording, other people's household commands,
and questions that must be refused.

    python -m benchmarks.language [--data ../shared/data] [--tagger]

Three outcomes count: right (acts, and on the right thing), asked (acts on nothing), wrong (acts on
something else). "Acts" is judged before grounding, so a world that happens to lack the object hides
nothing. Sources of the data: HuRIC (Bastianelli et al. 2014) and CLINC OOS (Larson et al. 2019).
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from aislewise.types import Instruction, Phrase
from perception.language import InstructionParser
from perception.lexicon import CARRYABLE

HERE = Path(__file__).parent
Parse = Callable[[str], Instruction]

FRAME_INTENTS = {"Bringing": {"bring"}, "Motion": {"go", "avoid"}, "Taking": {"bring", "none"},
                 "Placing": {"bring", "none"}}
"""What counts as understanding a HuRIC frame; all others are requests for something else ("none")."""


def acts(said: Instruction) -> bool:
    """Whether a robot would set off (given a world in which the objects exist)."""
    if said.unknown or said.confidence < 0.45:
        return False
    to_place = said.destination is not None and said.destination.place is not None
    if said.intent == "bring":
        return to_place and said.target is not None and said.target.cls in CARRYABLE
    if said.intent == "avoid":
        return bool(said.avoid) and all(p.cls is not None for p in said.avoid)
    return said.intent == "cancel" or (said.intent == "go" and to_place)


def summary(said: Instruction) -> str:
    """The meaning in the notation of instructions.txt."""
    parts = [said.intent]
    if said.target is not None:
        parts.append(_phrase(said.target))
    if said.destination is not None:
        parts.append("> " + str(said.destination.place))
    if said.avoid:
        parts.append("! " + ", ".join(map(_phrase, said.avoid)))
    return " ".join(parts)


def _phrase(phrase: Phrase) -> str:
    if phrase.place:
        both = phrase.relation == "and" and phrase.anchor is not None
        return f"{phrase.place}+{_phrase(phrase.anchor)}" if both else phrase.place
    named = [e.name.lower() for e in (phrase.colour, phrase.cls) if e is not None]
    words = [phrase.attribute, *named] if phrase.attribute else named
    if phrase.relation and phrase.relation != "and":
        words.append(f"{phrase.relation}:" + ("" if phrase.anchor is None else _phrase(phrase.anchor)))
    return " ".join(words)


def outcome(said: Instruction, expected: str) -> str:
    """right, asked, or wrong."""
    if not acts(said):
        if expected == "none":
            return "right" if said.intent == "none" else "asked"
        return "right" if expected == "ask" else "asked"
    return "right" if summary(said) == expected else "wrong"


def wording() -> list[tuple[str, str]]:
    lines = (HERE / "instructions.txt").read_text().splitlines()
    pairs = [line.split(" => ") for line in lines if line and not line.startswith("#")]
    return [(text, expected.strip()) for text, expected in pairs]


def measure_wording(parse: Parse, show: bool) -> Counter[str]:
    counts: Counter[str] = Counter()
    for text, expected in wording():
        said = parse(text)
        result = outcome(said, expected)
        counts[result] += 1
        if show and result != "right":
            print(f"  {result}: {text}\n    expected {expected}\n    read as  {summary(said)} {said.unknown}")
    return counts


def measure_huric(parse: Parse, path: Path, show: bool) -> Counter[str]:
    counts: Counter[str] = Counter()
    for entry in json.loads(path.read_text()):
        said = parse(entry["sentence"])
        allowed = set().union(*(FRAME_INTENTS.get(f, {"none"}) for f in entry["frames"]))
        right = said.intent in allowed
        counts["intent right" if right else "intent wrong"] += 1
        counts["acts"] += acts(said)
        counts["asked"] += said.intent != "none" and not acts(said)
        if show and (not right or acts(said)):
            print(f"  {said.intent}, acts={acts(said)}: {entry['sentence']} {entry['frames']}")
    return counts


def measure_oos(parse: Parse, path: Path, show: bool) -> Counter[str]:
    counts: Counter[str] = Counter()
    for text in json.loads(path.read_text())["out_of_scope"]:
        said = parse(text)
        counts["refused" if said.intent == "none" else "acts" if acts(said) else "asked"] += 1
        if show and said.intent != "none":
            print(f"  {said.intent}, acts={acts(said)}: {text} {said.unknown}")
    return counts


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--data", type=Path, default=HERE.parent.parent / "shared" / "data")
    options.add_argument("--tagger", action="store_true", help="with the trained text tower")
    options.add_argument("--show", action="store_true", help="print every miss")
    args = options.parse_args()
    tagger = None
    if args.tagger:
        from fusion.infer import PhraseEncoder

        tagger = PhraseEncoder()
    parse = InstructionParser(tagger).parse
    report = [("warehouse wording", measure_wording(parse, args.show))]
    huric, oos = args.data / "huric_dev" / "commands.json", args.data / "oos" / "queries.json"
    if huric.exists():
        report.append(("household commands", measure_huric(parse, huric, args.show)))
    if oos.exists():
        report.append(("out of scope", measure_oos(parse, oos, args.show)))
    for name, counts in report:
        print(f"{name:20s}", ", ".join(f"{k} {v}" for k, v in sorted(counts.items())))


if __name__ == "__main__":
    main()
