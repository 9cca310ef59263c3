"""Synonyms of class names: the words that people use for the classes of COCO, Cityscapes and PASCAL VOC.

Only words of the same meaning: a puppy is a dog, but not every dog is a puppy, and so it is no synonym.
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
"""Words of one meaning, in the singular; spaces do not matter."""

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
"""Words for a kind of something, and what that is.

A class of such a name is meant by the wider word (`phone` where there is a class `mobile phone`); a text of such a name
does not mean the wider class.
"""

QUALIFIERS = (" merged", " other", " stuff")
"""What COCO panoptic adds to the name of a class (`sky-other-merged`), one behind another."""
