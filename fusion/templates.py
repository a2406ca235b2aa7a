"""Wording that the text tower learns from: sentence frames with slots, and fillers for the slots.

{t} target, {d} destination, {a} what to keep away from, {x} a thing outside the warehouse's
vocabulary, {q} a topic to ask about, {r} a room, {c} a household chore. Nothing in here was taken from
the sets that `benchmarks/language.py` measures on.
"""

PREFIXES = (
    "", "", "", "", "please", "robot,", "hey robot,", "can you", "could you", "could you please", "ok",
    "i need you to", "we need you to", "would you", "kindly", "now", "listen,", "go ahead and",
    "i want you to", "let us", "hello,", "you should", "would you mind", "do you think you can",
)
SUFFIXES = ("", "", "", "", "", "please", "now", "right away", "asap", ", thanks", "as soon as possible",
            "for me", "immediately", "thank you", "quickly", "when you can")

BRING = (
    "bring {t} to {d}", "bring {t} over to {d}", "bring {d} {t}", "bring to {d} {t}", "bring {t} here",
    "bring me {t}", "get {t} to {d}", "get me {t}", "get {t} over to {d}", "fetch {t}",
    "fetch {t} for {d}", "fetch {t} and bring it to {d}", "fetch me {t}", "deliver {t} to {d}",
    "deliver {t}", "carry {t} to {d}", "carry {t} over to {d}", "carry {t} across to {d}",
    "transport {t} to {d}", "haul {t} to {d}", "convey {t} to {d}", "transfer {t} to {d}",
    "move {t} to {d}", "move {t} over to {d}", "take {t} to {d}", "take {t} and put it on {d}",
    "take {t} over to {d}", "run {t} to {d}", "send {t} to {d}", "shift {t} to {d}", "return {t} to {d}",
    "retrieve {t} and take it to {d}", "collect {t} and deliver it to {d}", "collect {t} for {d}",
    "pick up {t} and bring it to {d}", "pick up {t} and drop it off at {d}", "pick {t} up for {d}",
    "grab {t} and take it to {d}", "grab {t}", "go get {t} and bring it to {d}",
    "go and fetch {t} for {d}", "find {t} and bring it to {d}", "locate {t} and take it to {d}",
    "put {t} on {d}", "put {t} at {d}", "put {t} in {d}", "place {t} at {d}", "leave {t} at {d}",
    "drop {t} off at {d}", "drop off {t} at {d}", "deposit {t} at {d}", "i need {t} at {d}",
    "we need {t} at {d}", "i want {t} at {d}", "{d} needs {t}", "{d} is waiting for {t}",
    "{t} must go to {d}", "{t} should be taken to {d}", "{t} needs to be brought to {d}",
    "{t} goes to {d}", "{t} is needed at {d}", "{t} has to be moved to {d}", "{t} to {d}",
    "there is {t}, bring it to {d}", "relocate {t} to {d}", "ferry {t} to {d}", "tow {t} to {d}",
    "see that {t} gets to {d}", "supply {d} with {t}", "hand over {t} to {d}", "drive {t} to {d}",
    "shuttle {t} to {d}", "bring {t} back to {d}", "take {t} from here to {d}", "schlep {t} to {d}",
    "lug {t} to {d}", "have {t} delivered to {d}", "get hold of {t} and bring it to {d}",
)
GO = (
    "go to {d}", "drive to {d}", "head to {d}", "head over to {d}", "move to {d}", "navigate to {d}",
    "proceed to {d}", "travel to {d}", "come to {d}", "return to {d}", "go back to {d}", "make your way to {d}",
    "roll to {d}", "visit {d}", "report to {d}", "go over to {d}", "drive over to {d}", "run to {d}",
    "go near {d}", "go next to {d}", "go close to {d}", "go and wait at {d}", "wait at {d}", "park at {d}",
    "dock at {d}", "stop at {d}", "go to the left of {d}", "move in front of {d}", "position yourself at {d}",
    "get yourself to {d}", "you are needed at {d}", "go into {d}", "go toward {d}", "head for {d}",
    "send a robot to {d}", "i need you at {d}", "stand by {d}", "go straight to {d}", "drive up to {d}",
    "move a little to the right", "go forward", "go to {r}", "move to {r}", "head to {r}", "drive into {r}",
)
AVOID = (
    "avoid {a}", "keep away from {a}", "stay away from {a}", "steer clear of {a}", "keep clear of {a}",
    "stay clear of {a}", "keep off {a}", "stay off {a}", "stay out of {a}", "do not go near {a}",
    "do not drive over {a}", "do not drive through {a}", "do not touch {a}", "watch out for {a}",
    "beware of {a}", "look out for {a}", "mind {a}", "be careful around {a}", "be careful of {a}",
    "keep your distance from {a}", "keep a safe distance from {a}", "go around {a}", "drive around {a}",
    "bypass {a}", "dodge {a}", "move away from {a}", "keep well away from {a}", "never drive over {a}",
    "do not get close to {a}", "give {a} a wide berth", "detour around {a}", "do not bump into {a}",
    "leave room for {a}", "do not run over {a}", "do not approach {a}", "do not cross {a}",
)
AVOID_TAIL = (
    ", keep away from {a}", "and avoid {a}", ", avoiding {a}", "but stay away from {a}", ". watch out for {a}",
    "without going near {a}", "while keeping away from {a}", "but do not go near {a}", "and mind {a}",
    ", steer clear of {a}", "; stay clear of {a}", "and be careful around {a}", ". do not touch {a}",
    "without driving over {a}", "and keep clear of {a}", "but not over {a}", "but go around {a}",
)
CANCEL = (
    "cancel", "cancel that", "cancel the order", "cancel the last order", "cancel my last instruction",
    "abort", "abort the mission", "abort the task", "stop", "stop what you are doing", "stop that",
    "never mind", "forget it", "forget that", "forget what i said", "call it off", "call off the job",
    "scrap that", "scratch that", "disregard that", "disregard my last command", "halt", "quit the task",
    "drop it", "leave it", "i changed my mind", "that order is no longer needed", "revoke the request",
    "do not bother", "cancel the delivery", "stand down", "withdraw the order", "stop the transport",
)
NONE = (
    "what is {q}", "who is {q}", "where is {q}", "when was {q} founded", "how does {q} work",
    "how do i find {q}", "how much is {x}", "how many {x} are there", "why is {q} important",
    "is {q} real", "are there any {x} nearby", "can you tell me about {q}", "tell me about {q}",
    "explain {q} to me", "what do you think of {q}", "do you like {x}", "does {q} matter",
    "what is the best {x}", "what is the price of {x}", "which {x} should i buy", "book me {x}",
    "set an alarm for {x}", "remind me of {x}", "play {q}", "show me {q}", "read me {q}", "sing {q}",
    "call my mother", "text my friend about {q}", "translate {q}", "what time is it", "how are you",
    "what is the weather", "tell me a joke", "turn on {x}", "turn off {x}", "switch on {x}",
    "switch off {x}", "open {x}", "close {x}", "find {x}", "find me {q}", "look for {x}",
    "search for {x}", "search {r} for {x}", "where can i find {x}", "clean {r}", "{c}", "please {c}",
    "drop {x}", "release {x}", "let go of {x}", "put down {x}", "how old is {q}", "how far is {q}",
    "is {x} good for you", "does {x} hurt", "who invented {x}", "what year did {q} begin", "i like {x}",
    "{q}", "the weather is nice", "{x} and {x}", "my {x} is broken", "i am tired", "good job",
    "how long does {q} take", "what are some {x}", "can i eat {x}", "should i buy {x}", "will it rain",
    "where is {t}", "how many {x} does {d} have", "what is {t}", "is {t} at {d}", "how far is {d}",
    "who moved {t}", "why is {a} there", "count {x}", "describe {t}", "what colour is {t}",
    "is there {a} near {d}", "when does {d} open", "do you see {a}", "has {t} arrived at {d}",
)
THINGS = (
    "a glass of water", "the newspaper", "my phone", "a cup of tea", "the remote control", "some bread",
    "the keys", "a towel", "my shoes", "an umbrella", "the plates", "a fork", "the laptop", "a banana",
    "the curtains", "a ticket", "the lamp", "my bag", "a car", "the radio", "a pizza", "the cushions",
    "a screwdriver", "the chair", "a hammer", "the ladder", "the guitar", "a cat", "some medicine", "shoes",
    "planets", "coins", "apples", "a bicycle", "the oven", "the heating", "the window", "the door",
    "the tap", "the camera", "a sandwich", "the letter", "my glasses", "an egg", "the mixer", "the vase",
    "a notebook", "the charger cable", "the station wagon", "the box office", "the spilled coffee",
)
TOPICS = (
    "the capital of france", "the meaning of life", "gravity", "football", "the moon", "a black hole",
    "the stock market", "inflation", "the next election", "a good film", "the president", "chess",
    "my account balance", "the history of rome", "electric cars", "the speed of light", "a volcano",
    "the longest river", "vitamin c", "the first computer", "machine learning", "an interest rate",
    "a mortgage", "the news", "some music", "the olympics", "photosynthesis", "the red sea", "blue whale",
    "the white house", "the orange tree", "box office", "space station", "brown bread", "green energy",
)
ROOMS = ("the kitchen", "the bathroom", "the garden", "the bedroom", "the living room", "the office",
         "the hallway", "the window", "the door", "the sofa", "the stairs", "the cellar", "the canteen")
CHORES = ("wash the dishes", "cook dinner", "water the plants", "make the bed", "vacuum the carpet",
          "feed the dog", "mow the lawn", "do my homework", "write an essay", "order a pizza",
          "answer the phone", "paint the wall", "dance", "jump", "fold the laundry", "iron my shirt",
          "take a photo", "change the channel", "pay the bill", "empty the bin bag")
