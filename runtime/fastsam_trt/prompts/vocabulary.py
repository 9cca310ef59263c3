"""Vocabulary: which classes of a model a text names."""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections.abc import Iterable, Sequence
from functools import lru_cache

from fastsam_trt.prompts.plurals import names_other_thing, singulars
from fastsam_trt.prompts.synonyms import GROUPS, KINDS, QUALIFIERS

_ARTICLES = ("a", "an", "the", "some", "any", "all", "every", "each")
_APOSTROPHES = str.maketrans(dict.fromkeys("\u2018\u2019\u02bc", "'"))


class Vocabulary:
    """The class names of a model, as texts may name them.

    A text is compared with all names in ranks; the first rank in which a name agrees decides, and all ids of that rank
    count:

    1. the very name;
    2. the name in another case, Unicode form (NFKC) or spacing (`traffic_light`, `Traffic Light`);
    3. the name with words written together or apart (`cellphone`);
    4. the plural of the name, or the name in the plural of the text;
    5. one of the alternatives that the name lists (`bun` where there is a class `Bread/Bun`);
    6. the plural of such a one, or such a one in the plural of the text;
    7. a synonym (`motorbike` where there is a class `motorcycle`).

    A name without any character that counts is named by nothing, one of digits alone by these digits.
    """

    def __init__(self, names: Sequence[str]) -> None:
        """Take class names, by id."""
        self._names = tuple(names)
        self._ranks: tuple[dict[str, list[int]], ...] = ({}, {}, {}, {}, {}, {}, {})
        for class_id, name in enumerate(self._names):
            for rank, keys in zip(self._ranks, _name_keys(name), strict=True):
                for key in keys:
                    rank.setdefault(key, []).append(class_id)

    def ids(self, text: str) -> tuple[int, ...]:
        """The ids of the classes that a text names, rising; empty if there are none."""
        for rank, keys in zip(self._ranks, _text_keys(text), strict=True):
            found = {class_id for key in keys for class_id in rank.get(key, ())}
            if found:
                return tuple(sorted(found))
        return ()

    def near(self, text: str, most: int = 3) -> list[str]:
        """Names that a text may have meant though it names no class.

        These are the names of what its words mean (`the red bus`, `a woman`); if there are none, names that hold its
        words; if there are none, names that are written much the same.
        """
        words = fold(text).strip(" .,;:!?'\"").split()
        while words and words[0] in _ARTICLES:
            words = words[1:]
        runs = [words[i : i + n] for n in range(min(len(words), 4), 0, -1) for i in range(len(words) - n + 1)]
        parts = [" ".join(run).strip(".,;:!?'\"") for run in runs]
        wider = [_WIDER[each] for part in parts for each in sorted(_meanings(_forms(fold(part)))) if each in _WIDER]
        found = [self._names[class_id] for part in (*parts, *wider) for class_id in self.ids(part)]
        meant = " ".join(words)
        by_fold = {fold(name): name for name in reversed(self._names) if fold(name)}
        if not found and words:
            found = [name for folded, name in by_fold.items() if f" {meant} " in f" {folded} "]
        if not found:
            found = [by_fold[folded] for folded in difflib.get_close_matches(meant, by_fold, n=most)]
        return list(dict.fromkeys(found))[:most]


@lru_cache(maxsize=16)
def vocabulary(names: tuple[str, ...]) -> Vocabulary:
    """The vocabulary of class names, kept for the models at hand: prompts change while frames come."""
    return Vocabulary(names)


def fold(text: str) -> str:
    """A text without case, Unicode form (NFKC), invisible characters, and with one space for each gap or dash.

    The dotted and the dotless i of Turkish are one letter.
    """
    text = unicodedata.normalize("NFKC", text.translate(_APOSTROPHES)).casefold().replace("i\u0307", "i")
    text = unicodedata.normalize("NFKC", text.replace("\u0131", "i"))
    kept = (" " if _parts(char) else char for char in text if unicodedata.category(char) != "Cf")
    return " ".join("".join(kept).split())


def did_you_mean(names: Sequence[str]) -> str:
    """The question that ends a message: the names quoted; empty for none."""
    if not names:
        return ""
    *others, last = map(repr, names)
    return f"did you mean {', '.join(others)}{' or ' if others else ''}{last}?"


def _parts(char: str) -> bool:
    """Whether a character stands between words: spaces, dashes, underscores."""
    return char.isspace() or unicodedata.category(char) in ("Pd", "Pc")


def _text_keys(text: str) -> tuple[Iterable[str], ...]:
    """What a text is looked up by, in each rank."""
    folded = fold(text)
    if not folded or _together(folded).isdecimal():
        return ({text}, (), (), (), (), (), ())
    forms = _forms(folded)
    together = _together(folded)
    return ({text}, {folded}, {together}, forms, {together}, forms, _meanings(forms))


def _name_keys(name: str) -> tuple[Iterable[str], ...]:
    """What a class is found by, in each rank."""
    folded = fold(name)
    if not folded or _together(folded).isdecimal():
        return ({name} if name.strip() else (), (), (), (), (), (), ())
    forms = _name_forms(folded)
    plain = re.sub(f"({'|'.join(QUALIFIERS)})+$", "", folded)
    alternatives = _alternatives(name)
    listed = set(map(_together, alternatives))
    listed_forms = {form for each in alternatives for form in _name_forms(each)}
    meant = _meanings({*forms, *listed_forms, *(_name_forms(plain) if plain != folded else ())})
    meant |= {_WIDER[each] for each in meant if each in _WIDER}
    return ({name}, {folded}, {_together(folded)}, forms, listed, listed_forms, meant)


def _alternatives(name: str) -> list[str]:
    """What a name lists with `/`, `,` or `;` between, without what is a kind of something else among it.

    `person/man/woman` is no class of men.
    """
    parts = [part for part in map(fold, re.split("[/,;]", name)) if len(part) > 1 and not _together(part).isdecimal()]
    if len(parts) < 2:
        return []
    meant = _meanings({_together(part) for part in parts})
    return [part for part in parts if _WIDER.get(_LEADERS.get(_together(part), _together(part))) not in meant]


def _forms(folded: str) -> set[str]:
    """A term and its singulars, written together."""
    return {_together(form) for form in singulars(folded)}


def _name_forms(folded: str) -> set[str]:
    """The forms that a class is named by: no singular of what is not several, as glasses that are worn."""
    return {_together(folded)} if names_other_thing(folded) else _forms(folded)


def _meanings(forms: Iterable[str]) -> set[str]:
    """Forms with the first word of their group of synonyms in their place."""
    return {_LEADERS.get(form, form) for form in forms}


def _together(text: str) -> str:
    return text.replace(" ", "")


_LEADERS = {_together(word): _together(group[0]) for group in GROUPS for word in group}
_WIDER = {
    _LEADERS.get(_together(kind), _together(kind)): _LEADERS.get(_together(wide), _together(wide))
    for kind, wide in KINDS.items()
}
