"""The closed classes of English words by which a caption is read without a parser.

A noun is taken for what is there only where the words around it leave no other reading, so these lists may be long.
"""

from __future__ import annotations


def _set(words: str) -> frozenset[str]:
    return frozenset(words.split())


ARTICLES = frozenset({"a", "an"})
DEFINITE = _set("the this that these those his her its their my your our both each every")
VAGUE_NUMBERS = _set("some several many few lots multiple various numerous couple dozens dozen any all")
PREPOSITIONS = _set(
    "in on at of with by near under over above below behind beside between among along across around through inside outside "
    "into onto off from to for against beneath underneath next atop up down toward towards upon within amid alongside past "
    "during before after without about like as than except near"
)
# What may stand right after a noun without making it a part of a longer name.
FOLLOWERS = PREPOSITIONS | _set(
    "and or but while when where as that which who whose is are was were am be been being has have had does do did can could "
    "will would may might must should there here it they he she him her them his its their together alone outside inside "
    "indoors outdoors outdoor also both all each very too just still not so then s a an the this two three four next front "
    "back away apart ready asleep awake full visible nearby below above alike upside underwater overhead"
)
CLAUSE_ENDS = _set(". ; ! ? … but while")
NEGATIONS = _set(
    "no not without never nobody none neither nor cannot 't lacks lack lacking missing absent excluding minus zero except "
    "instead rather hardly nothing"
)
HYPOTHETICAL = _set(
    "if would could might wants want wanted wish wishes imagine imagining imagines dream dreams dreaming pretend pretends "
    "pretending hope hopes hoping think thinks thinking believe promise invisible remember should until unless whether"
)
# "like a dog", "for cars": what follows is not there as a matter of course.
UNSURE_BEFORE = _set("like for as than about if resembling resembles resemble mimicking per versus vs unlike")
NEARNESS = _set("next close attached tied adjacent connected hitched chained strapped up back fixed clinging")
PICTURES = _set(
    "photo photos photograph photographs picture pictures image images view views shot shots snapshot closeup up scene "
    "portrait selfie video"
)
DEPICTIONS = PICTURES | _set(
    "painting paintings drawing drawings poster posters statue statues sculpture sculptures figurine figurines figure figures "
    "print prints sketch cartoon illustration logo logos mural tattoo model models replica reflection reflections shadow "
    "shadows silhouette silhouettes toy graffiti decal sticker shape form outline symbol lack absence instead smell "
    "sound pattern costume mask map imitation version head design lookalike"
)
# What made of these is no animal, person, plant, vehicle or food.
IMITATIONS = _set(
    "toy stuffed fake plush inflatable miniature model cartoon lego ceramic porcelain bronze marble rubber knitted origami "
    "imaginary virtual painted paper cardboard chocolate gingerbread animated wind plastic wooden metal stone glass brass "
    "play pretend artificial sculpted carved clay crochet neon gummy former missing"
)
NUMBER_SPOILERS = _set(
    "least most than over about around nearly almost approximately or under up roughly maybe every another other more extra "
    "additional last first half"
)
MORE_OF_IT = _set("another other others rest more extra additional second third different")


def _third(verb: str) -> str:
    if verb.endswith(("s", "ch", "sh", "x", "z", "o")):
        return f"{verb}es"
    return f"{verb[:-1]}ies" if verb.endswith("y") and verb[-2] not in "aeiou" else f"{verb}s"


VERBS = _set(
    "sit stand lie lay walk run jump play eat drink hold wear ride look watch sleep rest fly swim drive park cross wait graze "
    "perch hang lean pose smile reach throw catch hit swing kick carry pull push climb chase cover fill surround surf ski "
    "skate work talk read write cook cut prepare serve bite lick sniff stare gaze face move travel pass stop turn grow bloom "
    "float sail land take go come get make use show display feature contain include enjoy share enter leave approach stick "
    "peek poke crouch kneel bend roll slide fall bark feed pet hug kiss dance sing gather line appear seem wave laugh point "
    "bring give put set open close touch hover soar relax nap yawn stretch wander herd race speed follow lead meet wash brush "
    "comb pick chew nibble blow fly shine burn rise flow run stay remain dry drag tow load unload wade splash dive paddle row"
)
VERBS_3RD = frozenset(map(_third, VERBS)) | {"has", "does"}
PAST = _set(
    "sat stood lay ran ate drank held wore rode slept flew swam drove hung leant threw caught hit swung cut bit grew took went "
    "came got made left stuck bent fell fed put led met blew rose seen taken made shown parked hidden worn held built set kept "
    "made drawn laid sunk tied lit full"
)
# Words in -ing and -ed that are nouns, or stand before one.
NOT_VERBS = _set(
    "building ceiling painting clothing string ring king thing morning evening crossing railing awning parking racing wedding "
    "wing spring sting pudding stocking crossing bed shed sled seed weed feed red hundred breed speed need reed wed "
    "training swimming fishing boxing housing landing bowling cooking dining living washing serving shopping sleeping"
)
POSTURES = (
    "sit|sits|sitting|stand|stands|standing|lie|lies|lying|laying|lays|lay|rest|rests|resting|perch|perches|perched|perching|"
    "placed|parked|sleep|sleeps|sleeping|asleep|hang|hangs|hanging|located|positioned|seated|set|mounted|displayed|sprawled|"
    "curled|hiding|hidden|waiting|wait|waits|sat|stood|posing|poses|pose|playing|crouching|kneeling|relaxing|napping|floating|"
    "grazing|piled|stacked|arranged|lined|left|tied|attached"
)


def is_verb(token: str, plural: bool | None) -> bool:
    """Whether a word after a noun can be its verb: sits, sitting, parked; "walk" only where the noun is a plural."""
    if token in VERBS_3RD or token in PAST:
        return True
    if token in VERBS:
        return plural is not False
    return len(token) > 4 and token.endswith(("ing", "ed")) and token not in NOT_VERBS
