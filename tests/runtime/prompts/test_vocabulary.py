"""Which classes a text names: order of the rules, English plurals, synonyms, and suggestions for unknown texts."""

from __future__ import annotations

import pytest

from fastsam_trt.errors import OptionError, PromptError
from fastsam_trt.prompts.texts import check_exclusions, check_prompts, class_ids, route
from fastsam_trt.prompts.vocabulary import Vocabulary, did_you_mean
from fastsam_trt.results.coco import CATEGORY_IDS

COCO = tuple(CATEGORY_IDS)
CITYSCAPES = ("road", "sidewalk", "wall", "traffic sign", "person", "rider", "car", "truck", "motorcycle", "bicycle")
PANOPTIC = (
    "wall-brick",
    "wall-other-merged",
    "tree-merged",
    "door-stuff",
    "window-blind",
    "window-other",
    "floor-wood",
)


def _named(names: tuple[str, ...], text: str) -> list[str]:
    return [names[class_id] for class_id in Vocabulary(names).ids(text)]


@pytest.mark.parametrize(("names", "text", "ids"), [
    (("glasses", "glass"), "glass", (1,)),
    (("glass", "glasses"), "glasses", (1,)),
    (("glass", "glasses"), "Glasses", (1,)),
    (("Glass", "glass", "GLASS"), "glass", (1,)),
    (("Glass", "GLASS"), "glass", (0, 1)),
    (("car", "dog", "car"), "car", (0, 2)),
    (("cars", "car"), "car", (1,)),
    (("television", "tv"), "tv", (1,)),
    (("tv", "tvs"), "tvs", (1,)),
    (("motorbike", "motorcycle"), "motorcycles", (1,)),
    (("cell phone", "telephone"), "phone", (0, 1)),
    (("man", "woman"), "people", (0, 1)),
    (("man", "woman", "person"), "people", (2,)),
    (("carpet", "car"), "cars", (1,)),
])  # fmt: skip
def test_the_first_rule_that_matches_any_class_decides(names: tuple[str, ...], text: str, ids: tuple[int, ...]) -> None:
    assert Vocabulary(names).ids(text) == ids


@pytest.mark.parametrize(("name", "text"), [
    ("traffic light", "Traffic  Light"), ("traffic light", "traffic_light"), ("traffic light", "TRAFFIC-LIGHT"),
    ("traffic_light", "traffic light"), ("traffic-light", "traffic_lights"), ("cell phone", "cellphones"),
    ("tvmonitor", "tv monitor"), ("car", "\uff23\uff21\uff32"), ("caf\u00e9", "CAFE\u0301"),
    ("cafe\u0301s", "caf\u00e9"),
    ("I\u015f\u0131k", "I\u015eIK"), ("\u0130stanbul", "istanbul"), ("ISTANBUL", "\u0130stanbul"),
    ("Stra\u00dfe", "strasse"),
    ("driver's seat", "driver\u2019s seat"), ("\u4eba", "\u4eba"), (" car ", "car"), ("\u200bcar", "car"),
    ("car", "Car"),
])  # fmt: skip
def test_spelling_does_not_matter(name: str, text: str) -> None:
    assert Vocabulary(("dog", name)).ids(text) == (1,)


@pytest.mark.parametrize(("one", "many"), [
    ("person", "people"), ("person", "persons"), ("man", "men"), ("policewoman", "policewomen"),
    ("child", "children"),
    ("mouse", "mice"), ("goose", "geese"), ("tooth", "teeth"), ("foot", "feet"), ("knife", "knives"),
    ("wolf", "wolves"),
    ("scarf", "scarfs"), ("sheep", "sheep"), ("fish", "fishes"), ("bus", "buses"), ("bus", "busses"),
    ("grass", "grasses"),
    ("box", "boxes"), ("ox", "oxen"), ("bench", "benches"), ("berry", "berries"), ("toy", "toys"),
    ("tomato", "tomatoes"),
    ("ski", "skis"), ("tie", "ties"), ("vertex", "vertices"), ("cactus", "cacti"), ("larva", "larvae"),
    ("menu", "menus"),
    ("cup of tea", "cups of tea"), ("traffic light", "traffic lights"), ("giraffe", "giraffes"),
    ("quiz", "quizzes"),
    ("nucleus", "nuclei"), ("bacterium", "bacteria"), ("mitochondrion", "mitochondria"), ("metastasis", "metastases"),
])  # fmt: skip
def test_plurals_in_both_directions(one: str, many: str) -> None:
    assert Vocabulary(("x", one)).ids(many) == Vocabulary(("x", many)).ids(one) == (1,)
    assert Vocabulary(("x", one)).ids(f"red {many}") == ()


@pytest.mark.parametrize(
    ("worn", "other"), [("glasses", "glass"), ("Shorts", "short"), ("reading glasses", "reading glass")]
)
def test_clothing_in_the_plural_is_not_several_of_something_else(worn: str, other: str) -> None:
    assert Vocabulary(("x", worn)).ids(other) == ()
    assert Vocabulary(("x", worn)).ids(worn.upper()) == (1,)


LISTS = (
    "glass/drinking glass", "spectacles/eyeglasses/glasses", "person/baby/man/woman/human", "floor, flooring",
    "Bread/Bun", "N/A", "0/1", "telephone/phone", "cellphone/mobile phone",
)  # fmt: skip


@pytest.mark.parametrize(("text", "found"), [
    ("glass", [0]), ("glasses", [1]), ("drinking glasses", [0]), ("Persons", [2]), ("people", [2]), ("man", []),
    ("women", []), ("babies", []), ("flooring", [3]), ("buns", [4]), ("breads", [4]), ("a", []), ("n", []), ("1", []),
    ("0/1", [6]), ("phone", [7]), ("smartphone", [8]), ("bread/bun", [4]), ("pedestrian", [2]),
])  # fmt: skip
def test_a_name_may_list_alternatives(text: str, found: list[int]) -> None:
    assert Vocabulary(LISTS).ids(text) == tuple(found)


@pytest.mark.parametrize(("names", "text", "found"), [
    (("Mobile phone", "Telephone"), "cell phone", [0]), (("Mobile phone", "Telephone"), "phones", [0, 1]),
    (("Telephone",), "smartphone", []), (("Aircraft", "Airplane"), "plane", [1]), (("Aircraft",), "plane", []),
    (("aeroplane", "helicopter"), "aircraft", [0, 1]), (("Ball",), "sports ball", []), (("table",), "dining table", []),
    (("motorcycle", "bicycle"), "cycle", []), (("cab", "car"), "car", [1]), (("cab",), "car", []),
    (COCO, "telephone", ["cell phone"]), (COCO, "ball", ["sports ball"]), (COCO, "tables", ["dining table"]),
])  # fmt: skip
def test_a_wider_class_is_not_the_narrower_one(names: tuple[str, ...], text: str, found: list[int | str]) -> None:
    assert _named(names, text) == [names[each] if isinstance(each, int) else each for each in found]


def test_persons_are_people() -> None:
    assert Vocabulary(("persons",)).ids("people") == Vocabulary(("people",)).ids("persons") == (0,)


@pytest.mark.parametrize(("names", "text", "found"), [
    (COCO, "people", ["person"]), (COCO, "pedestrians", ["person"]), (COCO, "humans", ["person"]),
    (COCO, "motorbikes", ["motorcycle"]), (COCO, "bike", ["bicycle"]), (COCO, "Television", ["tv"]),
    (COCO, "TVs", ["tv"]),
    (COCO, "sofa", ["couch"]), (COCO, "aeroplane", ["airplane"]), (COCO, "mobile phones", ["cell phone"]),
    (COCO, "smart phone", ["cell phone"]), (COCO, "hair dryer", ["hair drier"]), (COCO, "fridge", ["refrigerator"]),
    (CITYSCAPES, "pavement", ["sidewalk"]), (CITYSCAPES, "lorries", ["truck"]), (CITYSCAPES, "street", ["road"]),
    (("aeroplane", "motorbike", "sofa", "diningtable"), "dining tables", ["diningtable"]),
    (("aeroplane", "motorbike", "sofa", "diningtable"), "motorcycle", ["motorbike"]),
    (PANOPTIC, "walls", ["wall-brick", "wall-other-merged"]), (PANOPTIC, "trees", ["tree-merged"]),
    (PANOPTIC, "wall brick", ["wall-brick"]), (PANOPTIC, "window", ["window-other"]),
    (PANOPTIC, "door", ["door-stuff"]),
])  # fmt: skip
def test_synonyms(names: tuple[str, ...], text: str, found: list[str]) -> None:
    assert _named(names, text) == found


@pytest.mark.parametrize("text", [
    "man", "women", "puppies", "red bus", "a car", "perso", "class", "light", "glasses", "\U0001f697", "...", "vehicle",
])  # fmt: skip
def test_texts_that_are_not_classes_of_coco(text: str) -> None:
    assert _named(COCO, text) == []


def test_nothing_names_a_class_without_a_visible_name() -> None:
    known = Vocabulary(("", " ", "\u200b", "_", "0", "1", "car"))
    for text in ("", " ", "0s", "\uff10", "zero", "s"):
        assert known.ids(text) == ()
    assert known.ids("0") == (4,)
    assert known.ids("_") == (3,)
    assert known.ids("cars") == (6,)
    assert Vocabulary(("", "")).near("car") == Vocabulary(()).near("car") == []


@pytest.mark.parametrize(("text", "near"), [
    ("a car", ["car"]), ("the cars", ["car"]), ("cars.", ["car"]), ("red bus", ["bus"]),
    ("An old television!", ["tv"]),
    ("a person on a motorbike", ["person", "motorcycle"]), ("two women", ["person"]), ("puppies", ["dog"]),
    ("glass", ["wine glass"]), ("bycicle", ["bicycle"]), ("motorbyke", ["motorcycle"]), ("\U0001f697", []),
    ("...", []),
    ("the", []), ("xyzzy", []),
])  # fmt: skip
def test_suggested_names(text: str, near: list[str]) -> None:
    assert Vocabulary(COCO).near(text)[: len(near) or None] == near


def test_suggestions_read_as_a_sentence() -> None:
    assert did_you_mean([]) == ""
    assert did_you_mean(["a"]) == "did you mean 'a'?"
    assert did_you_mean(["a", "b", "c"]) == "did you mean 'a', 'b' or 'c'?"


def test_a_prompt_gets_all_its_classes_and_the_first_prompt_wins() -> None:
    names = ("cell phone", "person", "telephone", "person")
    routes = route(["phones", "red bus", "people", "person", "telephone"], names, "auto")
    assert routes.by_class == {0: 0, 2: 0, 1: 2, 3: 2}
    assert routes.by_clip == {1: "red bus"}
    assert route(["person"], names, "clip").by_clip == {0: "person"}
    with pytest.raises(PromptError, match=r"found 'persn'; did you mean 'person'\? If not, use --selector clip"):
        route(["persn"], names, "labels")


def test_some_classes_of_a_prompt_may_be_excluded() -> None:
    names = ("cell phone", "telephone")
    asked, part, whole = (route([text], names, "auto") for text in ("phone", "telephone", "phones"))
    check_exclusions(asked, part, names)
    with pytest.raises(PromptError, match="found both"):
        check_exclusions(asked, whole, names)
    with pytest.raises(PromptError, match="found both"):
        check_exclusions(route(["red  bus"], (), "auto"), route(["Red_Bus"], (), "auto"), ())


@pytest.mark.parametrize("text", ["...", "?!", "-", "\u2014", "\u00ab\u00bb"])
def test_punctuation_is_not_a_prompt_for_clip(text: str) -> None:
    with pytest.raises(PromptError, match="expected a prompt with a letter, digit or symbol"):
        route([text], ("car",), "auto")
    assert route([text], ("car", text), "auto").by_class == {1: 0}  # such a class name is allowed
    assert route(["\U0001f697", "+", "3"], ("car",), "auto").by_clip == {0: "\U0001f697", 1: "+", 2: "3"}


def test_invisible_and_unencodable_prompts_are_refused() -> None:
    for text in ("\u200b", "\ufeff \u2060", "\x00"):
        with pytest.raises(PromptError, match="expected a prompt with text"):
            check_prompts([text])
    with pytest.raises(PromptError, match="expected a prompt in UTF-8"):
        check_prompts(["caf\udce9"])


@pytest.mark.parametrize(("classes", "ids"), [
    ([0, 2], (0, 2)), (["0", "2"], (0, 2)), (["people", "car", 2, "2"], (0, 2)), ("traffic light", (9,)), (3, (3,)),
    (["person,car"], (0, 2)), (["0,2", "tv"], (0, 2, 62)), (["person, traffic light"], (0, 9)), ([], ()),
    ((1, 1), (1,)),
])  # fmt: skip
def test_classes_by_name_and_id(classes: object, ids: tuple[int, ...]) -> None:
    assert class_ids(classes, COCO) == ids  # type: ignore[arg-type]


def test_unknown_classes_are_refused() -> None:
    for classes, message in (
        ([80], "classes: expected ids from 0 to 79, found 80"),
        (["-1"], "classes: expected ids from 0 to 79, found -1"),
        (["persn"], "found 'persn'; did you mean 'person'"),
        (["car,persn"], "found 'persn'; did you mean 'person'"),
        (["xyzzy"], "found 'xyzzy'; list them with: fastsam-trt info MODEL"),
        ([""], "classes: expected class names or ids from 0 to 79, found ''"),
        ([1.0], "classes: expected ids from 0 to 79, or class names, found 1.0"),
        ([None], "classes: expected ids from 0 to 79, or class names, found None"),
    ):
        with pytest.raises(OptionError) as caught:
            class_ids(classes, COCO)  # type: ignore[arg-type]
        assert message in str(caught.value)


def test_an_id_takes_precedence_over_a_name_that_is_a_number() -> None:
    names = ("1", "2", "0")
    assert class_ids(["1"], names) == class_ids([1], names) == (1,)
    assert Vocabulary(names).ids("1") == (0,)  # in a prompt it is the name
    assert class_ids(["7,8"], ("a", "7,8")) == (1,)
