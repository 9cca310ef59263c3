"""Find the possible singulars of English plurals."""

from __future__ import annotations

from collections.abc import Iterator

# Plural ending to singular endings. Some results are not words; those match no class name either.
_ENDINGS = (
    ("s", ("",)),
    ("ies", ("y",)),
    ("ves", ("f", "fe")),
    ("sses", ("s",)),
    ("zzes", ("z",)),
    ("ices", ("ex", "ix")),
    ("men", ("man",)),
    ("people", ("person",)),
    ("children", ("child",)),
    ("mice", ("mouse",)),
    ("lice", ("louse",)),
    ("geese", ("goose",)),
    ("feet", ("foot",)),
    ("teeth", ("tooth",)),
    ("eaux", ("eau",)),
    ("ae", ("a",)),
    ("i", ("us",)),
    ("ia", ("ium", "ion")),
    ("ova", ("ovum",)),
    ("ses", ("sis",)),
    *((f"{sibilant}es", (sibilant,)) for sibilant in ("s", "x", "z", "ch", "sh", "o")),
)
_WORDS = {"oxen": "ox", "dice": "die", "axes": "axis"}
_OTHER_THINGS = ("glasses", "shorts", "spectacles")  # not several of what the singular means


def names_other_thing(term: str) -> bool:
    """Return whether a term looks like a plural but means one thing, such as the glasses that people wear."""
    return term.rpartition(" ")[2] in _OTHER_THINGS


def singulars(term: str) -> set[str]:
    """Return the term itself and every term that it may be the plural of.

    The last word changes, and in `glasses of water` the word before `of`.

    Args:
        term: One or several words in lower case, separated by spaces.
    """
    found = {term}
    before, of, after = term.partition(" of ")
    for words, rest in ((term, ""), (before, of + after)):
        *others, last = words.split(" ")
        found.update(" ".join([*others, word]) + rest for word in _singular_words(last))
    return found


def _singular_words(word: str) -> Iterator[str]:
    if word in _WORDS:
        yield _WORDS[word]
    if word.endswith("ss"):  # glass
        return
    for plural, endings in _ENDINGS:
        stem = word.removesuffix(plural)
        if stem != word:
            yield from (stem + ending for ending in endings if stem or ending)
