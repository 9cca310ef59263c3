"""Find the classes of a model that a text names."""

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
    """The class names of a model, and the texts that name them.

    A text is compared with all names by these rules, in order. The first rule that matches any name decides, and the
    text names every class that it matches:

    1. the same text;
    2. the same text in another case, Unicode form (NFKC) or spacing (`traffic_light`, `Traffic Light`);
    3. the same words, written together or apart (`cellphone`);
    4. one is the plural of the other;
    5. an alternative that the name lists (`bun` for a class `Bread/Bun`);
    6. an alternative, where one is the plural of the other;
    7. a synonym (`motorbike` for a class `motorcycle`).

    Nothing names a class whose name has only ignored characters. A name of digits is matched by the same digits only.
    """

    def __init__(self, names: Sequence[str]) -> None:
        """Index class names, in the order of their ids."""
        self._names = tuple(names)
        self._rules: tuple[dict[str, list[int]], ...] = ({}, {}, {}, {}, {}, {}, {})
        for class_id, name in enumerate(self._names):
            for rule, keys in zip(self._rules, _name_keys(name), strict=True):
                for key in keys:
                    rule.setdefault(key, []).append(class_id)

    def ids(self, text: str) -> tuple[int, ...]:
        """Return the ids of the classes that a text names, in ascending order; empty if it names none."""
        for rule, keys in zip(self._rules, _text_keys(text), strict=True):
            found = {class_id for key in keys for class_id in rule.get(key, ())}
            if found:
                return tuple(sorted(found))
        return ()

    def near(self, text: str, most: int = 3) -> list[str]:
        """Return class names that a text may mean though it names no class, at most `most`.

        These are the classes that its words name (`the red bus`, `a woman`). If there are none, the names that contain
        its words. If there are none, the names with a similar spelling.
        """
        words = fold(text).strip(" .,;:!?'\"").split()
        while words and words[0] in _ARTICLES:
            words = words[1:]
        runs = [words[i : i + n] for n in range(min(len(words), 4), 0, -1) for i in range(len(words) - n + 1)]
        parts = [" ".join(run).strip(".,;:!?'\"") for run in runs]
        wider = [_WIDER[form] for part in parts for form in sorted(_meanings(_forms(fold(part)))) if form in _WIDER]
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
    """Return the vocabulary of class names, cached because prompts change while frames arrive."""
    return Vocabulary(names)


def fold(text: str) -> str:
    """Normalise case, Unicode form (NFKC) and spacing, and remove invisible characters.

    Gaps and dashes become one space. The dotted and the dotless i of Turkish become the same letter.
    """
    text = unicodedata.normalize("NFKC", text.translate(_APOSTROPHES)).casefold().replace("i\u0307", "i")
    text = unicodedata.normalize("NFKC", text.replace("\u0131", "i"))
    kept = (" " if _parts(char) else char for char in text if unicodedata.category(char) != "Cf")
    return " ".join("".join(kept).split())


def did_you_mean(names: Sequence[str]) -> str:
    """Return the "did you mean" at the end of a message, with the names quoted; empty without names."""
    if not names:
        return ""
    *others, last = map(repr, names)
    return f"did you mean {', '.join(others)}{' or ' if others else ''}{last}?"


def _parts(char: str) -> bool:
    """Return whether a character separates words: spaces, dashes, underscores."""
    return char.isspace() or unicodedata.category(char) in ("Pd", "Pc")


def _text_keys(text: str) -> tuple[Iterable[str], ...]:
    """Return the keys of a text, per rule."""
    folded = fold(text)
    if not folded or _together(folded).isdecimal():
        return ({text}, (), (), (), (), (), ())
    forms = _forms(folded)
    together = _together(folded)
    return ({text}, {folded}, {together}, forms, {together}, forms, _meanings(forms))


def _name_keys(name: str) -> tuple[Iterable[str], ...]:
    """Return the keys of a class name, per rule."""
    folded = fold(name)
    if not folded or _together(folded).isdecimal():
        return ({name} if name.strip() else (), (), (), (), (), (), ())
    forms = _name_forms(folded)
    plain = re.sub(f"({'|'.join(QUALIFIERS)})+$", "", folded)
    alternatives = _alternatives(name)
    listed = set(map(_together, alternatives))
    listed_forms = {form for alternative in alternatives for form in _name_forms(alternative)}
    meant = _meanings({*forms, *listed_forms, *(_name_forms(plain) if plain != folded else ())})
    meant |= {_WIDER[form] for form in meant if form in _WIDER}
    return ({name}, {folded}, {_together(folded)}, forms, listed, listed_forms, meant)


def _alternatives(name: str) -> list[str]:
    """Return the alternatives that a name lists with `/`, `,` or `;`, without kinds of another alternative.

    `person/man/woman` is not a class of men.
    """
    parts = [part for part in map(fold, re.split("[/,;]", name)) if len(part) > 1 and not _together(part).isdecimal()]
    if len(parts) < 2:
        return []
    meant = _meanings({_together(part) for part in parts})
    return [part for part in parts if _WIDER.get(_LEADERS.get(_together(part), _together(part))) not in meant]


def _forms(folded: str) -> set[str]:
    """Return a term and its singulars, without spaces."""
    return {_together(form) for form in singulars(folded)}


def _name_forms(folded: str) -> set[str]:
    """Return the forms that name a class; a name such as `glasses` has no singular."""
    return {_together(folded)} if names_other_thing(folded) else _forms(folded)


def _meanings(forms: Iterable[str]) -> set[str]:
    """Replace forms by the first word of their group of synonyms."""
    return {_LEADERS.get(form, form) for form in forms}


def _together(text: str) -> str:
    return text.replace(" ", "")


_LEADERS = {_together(word): _together(group[0]) for group in GROUPS for word in group}
_WIDER = {
    _LEADERS.get(_together(kind), _together(kind)): _LEADERS.get(_together(wide), _together(wide))
    for kind, wide in KINDS.items()
}
