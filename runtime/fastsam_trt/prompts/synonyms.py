"""Synonyms for the class names of COCO, Cityscapes and PASCAL VOC.

Synonyms have the same meaning. A puppy is a dog, but a dog need not be a puppy, so `puppy` is no synonym of `dog`.
"""

from __future__ import annotations

GROUPS: tuple[tuple[str, ...], ...] = (
    ("person", "human", "human being", "pedestrian"),
    ("bicycle", "bike", "pushbike"),
    ("car", "automobile", "motorcar"),
    ("motorcycle", "motorbike"),
    ("airplane", "aeroplane", "plane"),
    ("truck", "lorry"),
    ("traffic light", "traffic signal", "stoplight"),
    ("traffic sign", "road sign", "street sign"),
    ("fire hydrant", "hydrant", "fireplug"),
    ("cow", "cattle"),
    ("backpack", "rucksack", "knapsack"),
    ("handbag", "purse"),
    ("tie", "necktie"),
    ("frisbee", "flying disc", "flying disk"),
    ("sports ball", "sport ball"),
    ("baseball glove", "baseball mitt"),
    ("tennis racket", "tennis racquet"),
    ("racket", "racquet"),
    ("donut", "doughnut"),
    ("couch", "sofa", "settee"),
    ("potted plant", "pot plant", "houseplant"),
    ("dining table", "dinner table"),
    ("tv", "television", "tv set", "television set", "tv monitor", "telly"),
    ("laptop", "laptop computer", "notebook computer"),
    ("mouse", "computer mouse"),
    ("keyboard", "computer keyboard"),
    ("remote", "remote control", "remote controller"),
    ("cell phone", "cellular phone", "cellular telephone", "mobile phone", "mobile telephone", "smartphone"),
    ("phone", "telephone"),
    ("microwave", "microwave oven"),
    ("refrigerator", "fridge"),
    ("sink", "washbasin"),
    ("teddy bear", "teddy"),
    ("hair drier", "hair dryer", "blow drier", "blow dryer"),
    ("road", "street", "roadway"),
    ("sidewalk", "pavement", "footpath"),
    ("vegetation", "greenery"),
    ("sea", "ocean"),
    ("rug", "carpet"),
    ("curtain", "drape"),
    ("stair", "staircase", "stairway"),
    ("cabinet", "cupboard"),
)
"""Groups of words with the same meaning, in the singular; spaces are ignored."""

KINDS = {
    "wall brick": "wall",
    "wall stone": "wall",
    "wall tile": "wall",
    "wall wood": "wall",
    "floor wood": "floor",
    "man": "person",
    "woman": "person",
    "boy": "person",
    "girl": "person",
    "child": "person",
    "kid": "person",
    "baby": "person",
    "puppy": "dog",
    "kitten": "cat",
    "taxi": "car",
    "suv": "car",
    "pickup truck": "truck",
    "mug": "cup",
    "airplane": "aircraft",
    "helicopter": "aircraft",
    "sports ball": "ball",
    "tennis racket": "racket",
    "dining table": "table",
    "cell phone": "phone",
}
"""Narrower words and the wider word for them.

The wider word names a class of the narrower name (`phone` names a class `mobile phone`). The narrower word does not
name a class of the wider name.
"""

QUALIFIERS = (" merged", " other", " stuff")
"""Suffixes that COCO panoptic adds to class names, also several in a row (`sky-other-merged`)."""
