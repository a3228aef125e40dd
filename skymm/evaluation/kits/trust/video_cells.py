"""Clips, as frames with their times: dropped and damaged frames; frozen, empty and foreign ones; order, and other orders."""

from __future__ import annotations

import random
from collections.abc import Sequence

from PIL import Image

from skymm.curation.emoji_scenes.scene import SIZE as WIDTH
from skymm.curation.emoji_scenes.scene import Item, Scene, render
from skymm.evaluation.kits.trust.corruptions import SIDE, corrupted, noise
from skymm.evaluation.kits.trust.image_cells import GROUNDS, full
from skymm.evaluation.kits.trust.items import Case, Family, Group, Said, joined, named, say, things

LENGTH = 3.0  # seconds of a clip
NUM_FRAMES = 6
_THING = 120  # pixels of a thing's side
_FAR = WIDTH - _THING - 4
Frames = list[Image.Image]
Track = Sequence[tuple[str, int, int]]
"""What a frame shows: thing, x, y."""


def drawn(seed: int, tracks: Sequence[Track]) -> Frames:
    """Frames on the ground of a seed."""
    rng = random.Random(seed)
    colour, ground = rng.choice(GROUNDS), rng.choice(("plain", "gradient", "dots"))
    frames = []
    for track in tracks:
        items = tuple(Item(full(thing), (0, 0), (x, y, _THING)) for thing, x, y in track)
        frames.append(render(Scene(colour, ground, "twemoji", items, "", seed)).resize((SIDE, SIDE)))
    return frames


def in_turn(rng: random.Random, shown: Sequence[str], num_frames: int = NUM_FRAMES) -> Frames:
    """One thing after the other, each for as long, somewhere in the picture."""
    seed = rng.randrange(2**31)
    places = [(rng.randint(4, _FAR), rng.randint(4, _FAR)) for _ in shown]
    at = [index * len(shown) // num_frames for index in range(num_frames)]
    return drawn(seed, [[(shown[place], *places[place])] for place in at])


def moving(rng: random.Random, thing: str, rightwards: bool, num_frames: int = NUM_FRAMES) -> Frames:
    seed, y = rng.randrange(2**31), rng.randint(4, _FAR)
    xs = [4 + (_FAR - 4) * index // (num_frames - 1) for index in range(num_frames)]
    return drawn(seed, [[(thing, x, y)] for x in (xs if rightwards else xs[::-1])])


def case(gold: str, frames: Frames, kept: Sequence[int] | None = None) -> Case:
    """A clip of LENGTH seconds, of which the frames `kept` are seen (all)."""
    kept = range(len(frames)) if kept is None else kept
    return Case(
        gold,
        pictures=tuple(frames[place] for place in kept),
        seconds=tuple(LENGTH * place / len(frames) for place in kept),
    )


def _two(kind: str, question: Said, yes: Frames, no: Frames) -> Group:
    return Group(kind, question, [case("yes", yes), case("no", no)])


# --- generalisation --------------------------------------------------------------------------------------------------------

WAYS = ("few frames", "many frames", "dropped", "noise", "blur", "small")


def hampered(rng: random.Random, index: int) -> Group:
    """A clip that is harder to see: what happens in it is the same."""
    way, asked = WAYS[index % len(WAYS)], index // len(WAYS) % 3
    one, other, third = rng.sample(things(), 3)
    num_frames = {"few frames": 2, "many frames": 10}.get(way, NUM_FRAMES)
    if asked == 0:
        question = say("before", one=named(one), other=named(other))
        clips = [in_turn(rng, order, num_frames) for order in ((one, other), (other, one))]
    elif asked == 1:
        question = say("rightwards", thing=named(one))
        clips = [moving(rng, one, rightwards, num_frames) for rightwards in (True, False)]
    else:
        question = say("appears", thing=named(one))
        clips = [in_turn(rng, shown, num_frames) for shown in ((one, third), (other, third))]
    kept = sorted(rng.sample(range(num_frames), num_frames - 2)) if way == "dropped" else range(num_frames)
    clips = [[_worse(rng, way, frame) for frame in clip] for clip in clips]
    return Group(way, question, [case(gold, clip, kept) for gold, clip in zip(("yes", "no"), clips)])


def _worse(rng: random.Random, way: str, frame: Image.Image) -> Image.Image:
    if way == "small":
        return frame.resize((64, 64), Image.Resampling.BOX)
    names = {"noise": "gaussian_noise", "blur": "gaussian_blur"}
    return corrupted(frame, names[way], 4, rng.randrange(2**31)) if way in names else frame


# --- trustworthiness -------------------------------------------------------------------------------------------------------


def frozen(rng: random.Random, index: int) -> Group:
    thing = rng.choice(things())
    moved = moving(rng, thing, rng.random() < 0.5)
    still = moving(rng, thing, True)[rng.randrange(NUM_FRAMES)]
    return _two("frozen", say("anything_moves"), moved, [still] * NUM_FRAMES)


def empty(rng: random.Random, index: int) -> Group:
    one, other = rng.sample(things(), 2)
    if index % 2:
        colour = tuple(rng.randrange(40, 250) for _ in range(3))
        nothing = [Image.new("RGB", (SIDE, SIDE), colour)] * NUM_FRAMES
    else:
        nothing = [noise(rng.randrange(2**31)) for _ in range(NUM_FRAMES)]
    question = say("anything_seen") if index // 2 % 2 else say("appears", thing=named(one))
    return _two("blank" if index % 2 else "noise alone", question, in_turn(rng, (one, other)), nothing)


def foreign(rng: random.Random, index: int) -> Group:
    """One frame of another clip amid the others, in a clip of the same kind."""
    one, other = rng.sample(things(), 2)
    clips = [moving(rng, one, rng.random() < 0.5) for _ in range(2)]
    strange = in_turn(rng, (other,))[0]
    clips[0][rng.randint(1, NUM_FRAMES - 2)] = strange
    return _two("foreign frame", say("foreign"), *clips)


def unseen_end(rng: random.Random, index: int) -> Group:
    """The clip goes black before its end: what happens then is not known."""
    thing = rng.choice(things())
    clips = [moving(rng, thing, rng.random() < 0.5) for _ in range(2)]
    clips[1][NUM_FRAMES // 2 :] = [Image.new("RGB", (SIDE, SIDE))] * (NUM_FRAMES - NUM_FRAMES // 2)
    return _two("unseen end", say("sees_end", thing=named(thing)), *clips)


def insisted(rng: random.Random, index: int) -> Group:
    one, other = rng.sample(things(), 2)
    key = "insists_yes" if index % 2 else "insists_no"
    question = joined(say("before", one=named(one), other=named(other)), say(key))
    return _two(key.replace("_", " "), question, in_turn(rng, (one, other)), in_turn(rng, (other, one)))


# --- causality -------------------------------------------------------------------------------------------------------------


def order(rng: random.Random, index: int) -> Group:
    """What came last; what would come first backwards; what would, had the second come first."""
    one, other, third = rng.sample(things(), 3)
    key = ("last", "backwards", "second_first")[index % 3]
    shown = ([other, one], [one, other]) if key == "second_first" else ([other, third, one], [one, other, third])
    return _two(key.replace("_", " "), say(key, thing=named(one)), *(in_turn(rng, clip) for clip in shown))


def backwards(rng: random.Random, index: int) -> Group:
    thing = rng.choice(things())
    question = say("backwards_move", thing=named(thing))
    return _two("moves backwards", question, moving(rng, thing, False), moving(rng, thing, True))


def burst(rng: random.Random, index: int) -> Group:
    """The car or another comes to the balloon, and one of the two moves elsewhere: without the car, would it have burst?"""
    clips, second = [], rng.choice(("🐝", "🐕", "🐈", "🐢", "🐧", "🦋", "🚲", "🐘"))
    for toucher in (second, "🚗"):
        rows = [4, _FAR]
        rng.shuffle(rows)
        near, far = rows
        other = "🚗" if toucher == second else second
        end = _FAR - 44  # so far into the balloon that all of them touch it: drawings do not fill their square
        tracks = []
        for step in range(NUM_FRAMES):
            x = 4 + (end - 4) * min(step, NUM_FRAMES - 2) // (NUM_FRAMES - 2)
            burst_now = step == NUM_FRAMES - 1
            tracks.append([("💥" if burst_now else "🎈", _FAR, near), (toucher, x, near), (other, x, far)])
        clips.append(drawn(rng.randrange(2**31), tracks))
    return _two("touched", say("touched"), *clips)


GENERALISATION: tuple[Family, ...] = (hampered,)
TRUSTWORTHINESS: tuple[Family, ...] = (frozen, empty, foreign, unseen_end, insisted)
CAUSALITY: tuple[Family, ...] = (order, backwards, order, burst)
