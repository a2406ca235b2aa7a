"""The word lists of the language path: plain data, read by `perception.lexicon`."""

from __future__ import annotations

from enum import Enum

from aislewise.types import Colour, ObjectClass

INTENTS = ("bring", "go", "avoid", "cancel", "none")
SLOTS = ("target", "destination", "avoid", "anchor")
TAGS = ("O", *(f"{prefix}-{slot}" for slot in SLOTS for prefix in "BI"))
"""BIO tags of words: B-target, I-target, B-destination, ..."""

RELATIONS = {
    "near": ("near", "close to", "close by", "near to", "in the vicinity of", "not far from", "nearby"),
    "next_to": ("next to", "beside", "by", "alongside", "adjacent to", "right next to", "right by",
                "right beside", "at the side of"),
    "left_of": ("left of", "to the left of", "on the left of", "at the left of", "on the left side of",
                "on the left hand side of"),
    "right_of": ("right of", "to the right of", "on the right of", "at the right of",
                 "on the right side of", "on the right hand side of"),
    "behind": ("behind", "at the back of", "in back of", "to the rear of"),
    "in_front_of": ("in front of", "before", "at the front of", "right in front of", "facing"),
    "at": ("at", "in", "on", "inside", "within", "on top of"),
    "closest_to": ("closest to", "nearest to", "nearest", "closest", "that is closest to",
                   "that is nearest to"),
    "between": ("between", "in between"),
}

CLASS_WORDS = {
    ObjectClass.PERSON: (
        "person", "human", "worker", "man", "woman", "pedestrian", "colleague", "employee",
        "staff member", "operator", "picker", "coworker", "guy", "warehouse worker", "human being",
        "people", "men", "women", "staff", "persons", "anyone", "anybody", "personnel",
    ),
    ObjectClass.FORKLIFT: (
        "forklift", "fork lift", "lift truck", "fork truck", "forklift truck", "reach truck",
    ),
    ObjectClass.PALLET: ("pallet", "skid", "wooden pallet", "euro pallet", "europallet"),
    ObjectClass.TOTE: (
        "tote", "bin", "crate", "tub", "plastic tote", "plastic bin", "plastic crate", "tote bin",
        "storage bin", "plastic container", "container", "tote box", "storage tote",
    ),
    ObjectClass.ROBOT: ("robot", "amr", "agv", "mobile robot", "bot"),
    ObjectClass.BOX: (
        "box", "carton", "parcel", "package", "cardboard box", "shipping box", "cardboard carton",
    ),
    ObjectClass.WET_FLOOR: (
        "wet floor", "spill", "puddle", "wet patch", "wet spot", "wet area", "slippery floor",
        "slippery patch", "slippery spot", "slippery area", "spillage", "wet zone", "pool of water",
        "water on the floor", "wet surface", "floor that is wet", "water spill", "water puddle",
        "puddle of water", "wet bit of floor", "wet part of the floor", "patch of water",
    ),
}
CARRYABLE = (ObjectClass.PALLET, ObjectClass.TOTE, ObjectClass.BOX)

COLOUR_WORDS = {
    Colour.RED: ("red", "scarlet", "crimson"),
    Colour.BLUE: ("blue", "navy", "navy blue", "azure"),
    Colour.GREEN: ("green", "emerald"),
    Colour.YELLOW: ("yellow",),
    Colour.ORANGE: ("orange",),
    Colour.WHITE: ("white",),
    Colour.GREY: ("grey", "gray"),
    Colour.BROWN: ("brown",),
}
COLOUR_TAILS = ("", "-coloured", "-colored", " in colour", " in color", " colour", " color")

_VEST = ("vest", "safety vest", "hi vis vest", "hi vis", "high visibility vest", "reflective vest",
         "high vis vest", "hi viz vest", "hi viz", "safety jacket")
ATTRIBUTE_WORDS = {
    "vest": (*(f"{lead}{vest}" for vest in _VEST for lead in (
        "with a ", "with the ", "wearing a ", "wearing the ", "in a ", "in the ", "in ", "wearing ",
        "who wears a ", "who is wearing a ")), "vested"),
    "not_vest": tuple(f"{lead}{vest}" for vest in _VEST for lead in (
        "without a ", "without the ", "without ", "not wearing a ", "with no ", "wearing no ",
        "who is not wearing a ")),
    "loaded": ("loaded", "full", "laden", "filled", "stacked", "with goods", "carrying goods",
               "with a load", "with goods on it", "loaded with goods", "with load"),
    "not_loaded": ("empty", "unloaded", "unladen", "bare", "vacant", "not loaded", "without goods",
                   "with nothing on it", "with no load", "without a load", "with no goods"),
}
"""Attribute names are those of aislewise.types.ATTRIBUTES; a leading "not_" negates."""

PLACE_WORDS = {
    "station": ("station", "packing station", "pack station", "workstation", "work station",
                "delivery station", "drop off station", "picking station", "stn", "packing bench"),
    "charger": ("charger", "charging station", "charging point", "charge point", "charging dock",
                "charge station", "charging bay", "battery charger", "charging spot",
                "charging pad", "docking station"),
    "pick_face": ("pick face", "face", "pick location", "picking face", "pick slot",
                  "picking location", "pickface"),
    "parking": ("parking", "parking spot", "parking space", "parking place", "parking bay",
                "parking lot", "parking area"),
    "aisle": ("aisle", "rack aisle", "lane", "gangway"),
}
"""Kinds of aislewise.sitemap.PLACE_KINDS, and aisles."""


class Kind(Enum):
    """What a word or run of words does in an instruction."""

    BRING = "bring"  # needs an object: "fetch"
    PUT = "put"  # like bring, and "at", "on", "in" introduce the destination too
    DROP = "drop"  # like put, but only with a destination; without one it is a release
    NEED = "need"  # like put, but only with an object we know: "station 2 needs the red box"
    GO = "go"
    MOVE = "move"  # bring with an object, go without: "move", "take", "drive"
    FIND = "find"  # only as a lead-in to bring: "find the tote and bring it to ..."
    PASSIVE = "passive"  # "must go", "should be taken": the target came before
    AVOID = "avoid"
    CANCEL = "cancel"
    OTHER = "other"  # a request we understand well enough to refuse
    QUESTION = "question"
    NOUN = "noun"
    COLOUR = "colour"
    ATTRIBUTE = "attribute"
    PLACE = "place"
    RELATION = "relation"
    TO = "to"
    FROM = "from"
    NUMBER = "number"
    ORDINAL_MARK = "mark"  # "number", "no", "#"
    PRONOUN = "pronoun"  # it, them
    ONE = "one"  # "the blue one"
    HERE = "here"  # me, us, here: a place only the speaker knows
    DETERMINER = "determiner"
    AND = "and"
    BREAK = "break"
    FILLER = "filler"
    GUARD = "guard"  # conditions, quantities and negations that we must not overlook
    UNKNOWN = "unknown"


WORDS: dict[Kind, tuple[str, ...]] = {
    Kind.BRING: (
        "bring", "fetch", "deliver", "carry", "transport", "get", "haul", "convey", "transfer", "ferry",
        "retrieve", "collect", "pick up", "pick", "grab", "hand over", "relocate", "shuttle", "cart",
        "tow", "lug", "go get", "go fetch", "go and get", "go and fetch", "come and get", "bringing",
        "fetching", "delivering", "get hold of", "go and collect", "go pick up", "go and pick up",
        "go and bring", "go bring", "supply", "drop off", "pass", "bring over", "take delivery of",
        "see that", "ensure", "make sure", "see to it that", "ship",
    ),
    Kind.PUT: (
        "putting", "placing", "leaving",
        "put", "place", "set", "leave", "deposit", "stow", "unload",
    ),
    Kind.DROP: (
        "drop",
    ),
    Kind.NEED: (
        "i would love", "i would love to have", "we would love",
        "i need", "we need", "i want", "we want", "i would like", "we would like", "needs", "wants",
        "is waiting for", "need", "want", "there is", "there are", "requires", "require",
        "is asking for", "i am after", "asks for", "could use", "is short of", "can i have",
        "could i have", "may i have", "can we have", "could we have", "can i get", "could i get",
        "can we get", "could we get",
    ),
    Kind.GO: (
        "get to", "going", "heading", "driving", "going over", "heading over",
        "go", "head", "navigate", "proceed", "come", "travel", "make your way", "go over", "visit",
        "drive over", "report", "go back", "head over", "head back", "come over", "come back", "go on",
        "head on", "be", "get yourself", "get going", "get over", "get back", "dock", "park",
        "park yourself", "move yourself", "position yourself", "wait", "stand", "stop at",
        "go straight", "go and wait", "move on", "advance", "i need you", "we need you", "move along",
        "move a little", "move a little bit", "move a bit", "you are needed", "station yourself",
        "take yourself", "bring yourself", "move over",
    ),
    Kind.MOVE: (
        "taking", "moving", "sending",
        "move", "take", "drive", "return", "run", "shift", "send", "ride", "roll", "push", "pull",
    ),
    Kind.FIND: (
        "find", "locate", "search for", "look for", "search", "go and find", "go find", "spot",
        "identify", "seek",
    ),
    Kind.PASSIVE: tuple(
        f"{lead} {verb}".strip()
        for lead in ("must", "should", "has to", "needs to", "is to", "have to", "need to", "ought to",
                     "shall", "is supposed to", "")
        for verb in (("go", "be brought", "be taken", "be delivered", "be moved", "be carried", "be",
                      "end up", "be transported", "get", "be fetched", "be sent", "move", "come")
                     if lead else ("goes", "belongs", "is needed", "is wanted", "is required",
                                   "is due", "is expected", "gets", "are needed", "go to be"))
    ),
    Kind.AVOID: (
        "avoid", "keep away from", "stay away from", "steer clear of", "keep clear of", "stay clear of",
        "keep off", "stay off", "stay out of", "keep out of", "mind", "watch out for", "beware of",
        "look out for", "be careful of", "be careful around", "be careful with", "bypass", "dodge",
        "keep your distance from", "keep a distance from", "keep a safe distance from", "away from",
        "go around", "drive around", "steer around", "detour around", "move away from", "go away from",
        "keep well away from", "stay well away from", "keep well clear of", "stay well clear of",
        "keep distance from", "avoiding", "keeping away from", "staying away from", "do not go near",
        "keeping clear of", "staying clear of", "keeping off", "steering clear of", "watch for",
        "do not go through", "do not go over", "do not drive through", "do not drive over",
        "do not drive near", "do not enter", "do not cross", "do not run over", "do not touch",
        "do not get near", "do not get close to", "do not go close to", "do not come near",
        "do not go into", "do not hit", "do not drive into", "do not bump into", "do not approach",
        "do not run into", "do not go anywhere near", "do not step in", "do not roll over",
        "do not roll through", "never go near", "never drive over", "never drive through",
        "never approach", "never cross", "never enter", "without going near", "without going through",
        "without driving through", "without driving over", "without touching", "without crossing",
        "without hitting", "without going over", "without getting near", "keep clear from",
        "stay clear from", "route around", "take a detour around", "leave room for", "make way for",
        "but not near", "but not through", "but not over", "clear of", "stay at a distance from",
        "maintain distance from", "skirt", "swerve around", "circumvent", "work around",
        "give a wide berth to", "do not travel through", "do not pass",
    ),
    Kind.CANCEL: (
        "cancel", "abort", "stop", "halt", "never mind", "nevermind", "forget", "call off", "scrap",
        "scratch", "disregard", "call it off", "forget about", "quit", "revoke", "no longer needed",
        "is no longer needed", "ignore", "do not bother", "withdraw", "discard", "cease", "stand down",
        "belay",
    ),
    Kind.OTHER: (
        "put down", "set down", "release", "let go of", "let go", "turn on", "turn off", "switch on",
        "switch off", "open", "close", "tell me", "tell", "show me", "show", "explain", "play", "count",
        "inform me on", "describe", "list", "say", "sing", "call", "text", "remind me", "remind",
        "recommend", "calculate", "book", "buy", "help me", "help", "read", "write", "define", "check",
        "control", "clean", "wash", "cook", "set a", "set an", "teach", "translate",
    ),
    Kind.QUESTION: (
        "what", "where", "when", "who", "why", "how", "which", "whose", "is", "are", "am", "does",
        "did", "do i", "do you", "do we", "do they", "was", "were", "will", "has", "have", "is it",
        "is there", "are there", "may", "might", "what'll", "whom", "can i", "can we", "could i",
        "should i", "should we", "may i", "do", "can", "could", "would", "should", "shall", "does it",
        "whether", "is the", "are the", "can the", "could the", "do the", "did the", "has the",
        "will the",
    ),
    Kind.TO: (
        "to", "into", "onto", "towards", "toward", "over to", "up to", "back to", "out to", "across to",
        "down to", "on to", "in to", "over at", "through to", "->", "→", "=>", "for", "all the way to",
        "straight to", "directly to", "and to", "as far as",
    ),
    Kind.FROM: (
        "from", "out of", "off", "down from", "over from", "away at",
    ),
    Kind.ORDINAL_MARK: (
        "number", "no", "nr", "#", "num", "no.", "nº",
    ),
    Kind.PRONOUN: (
        "it", "them", "that one", "this one",
    ),
    Kind.ONE: (
        "one", "ones", "thing", "item", "object", "load", "goods", "something",
    ),
    Kind.HERE: (
        "me", "us", "here", "my place", "over here", "my desk", "there", "over there", "home",
    ),
    Kind.DETERMINER: (
        "the", "a", "an", "that", "this", "some", "any", "these", "those", "my", "our", "your", "his",
        "her", "their",
    ),
    Kind.AND: (
        "and", "&", "plus", "as well as", "or", "nor", "along with", "while", "but", "also", "and also",
        "whilst", "but also", "making sure to", "and make sure to", "and please", "by the way",
        "being careful to", "taking care to", "at the same time",
    ),
    Kind.BREAK: (
        ",", ".", ";", ":", "!", "?", "-", "–", "—", "(", ")", "then", "and then", "...", "…",
    ),
    Kind.FILLER: (
        "please", "kindly", "can you", "could you", "would you", "will you", "would you mind",
        "can you please", "could you please", "would you please", "i need you to", "i want you to",
        "we need you to", "i would like you to", "we want you to", "we would like you to", "you should",
        "you must", "you need to", "you have to", "i really need you to", "let us", "go ahead and",
        "why do not you", "do you think you can", "do you think you could", "be sure to", "remember to",
        "make sure you", "make sure to", "make sure that you", "try to", "be so kind as to", "hey",
        "hi", "hello", "ok", "okay", "listen", "sorry", "just", "now", "quickly", "carefully", "asap",
        "immediately", "right away", "right now", "at once", "urgently", "as soon as possible",
        "when you can", "thanks", "thank you", "for me", "for us", "today", "safely", "directly",
        "straight", "back", "over", "up", "along", "down", "with", "together", "really", "yourself",
        "is", "are", "which is", "that is", "who is", "that are", "which are", "located", "standing",
        "sitting", "lying", "parked", "placed", "stored", "stacked up", "waiting", "well", "so",
        "alright", "all right", "dear", "hey there", "good morning", "good afternoon", "anywhere",
        "somewhere", "quick", "if you can", "if possible", "if you please", "if you would", "you can",
        "you could", "'s", "that stands", "which stands", "that sits", "which sits", "you will find",
        "you can find", "which you will find", "on your way", "on the way", "en route", "as you go",
        "while driving", "while you drive", "way", "i would appreciate it if you could",
        "i would be grateful if you could", "time to", "your job is to", "your task is to",
        "you are to", "i would like to have", "at the moment", "'", '"', "“", "”", "next",
        "get to work and", "currently", "on the ground", "on the floor", "do me a favour and",
        "do me a favor and", "we need to", "would you be able to", "are you able to", "can i have you",
        "is it possible to", "it would be great if you could", "how about you", "there", "exactly",
        "while you are at it", "in the meantime", "meanwhile", "hurry and", "hurry up and", "i want to",
        "always", "at all times", "at all costs", "i say", "have a robot", "have someone",
        "get someone to", "get a robot to", "have one of the robots", "ask a robot to",
        "tell a robot to", "the following",
    ),
    Kind.GUARD: (
        "not", "do not", "if", "unless", "until", "after", "except", "without", "never", "when it",
        "once", "all", "every", "each", "both", "half", "another", "other", "either", "neither",
        "later", "tomorrow", "instead", "only", "first", "second", "third", "same", "different",
        "several", "many", "few", "more", "less", "again", "twice", "but", "no", "none", "nothing",
        "least", "most",
    ),
}

JOB_WORDS = frozenset(
    "order task job instruction command request mission that it this last current previous my what "
    "you are doing i said just errand delivery transport run trip the one gave asked everything latest "
    "most recent is now please have for your our told an a about all of in progress".split()
)
"""Words that may surround "cancel" without changing what is cancelled: the job at hand."""

CANCEL_ALONE = frozenset({"drop it", "leave it", "i changed my mind", "leave that"})

NUMBER_WORDS = {w: i for i, w in enumerate(
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen "
    "sixteen seventeen eighteen nineteen twenty".split())}
