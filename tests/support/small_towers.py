"""Small seeded models with an image tower and a text tower, in transformers' format, with tokenizers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from support.typed import present

if TYPE_CHECKING:
    from tokenizers import Tokenizer

SIDE = 64  # of the images, px
CLIP_TOKENS, SIGLIP_TOKENS = 24, 16
_TEXTS = ["a photo of a cat", "the red bus", "two people left of the car"] * 20
_LAYERS = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}


def save_clip(folder: Path) -> None:
    """CLIP of two small layers a tower."""
    import torch
    import transformers

    _save_clip_tokenizer(folder)
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    torch.manual_seed(0)
    text = {**_LAYERS, "vocab_size": len(tokenizer), "max_position_embeddings": CLIP_TOKENS, "projection_dim": 16,
            "bos_token_id": tokenizer.bos_token_id, "eos_token_id": tokenizer.eos_token_id,
            "pad_token_id": tokenizer.pad_token_id}  # fmt: skip
    vision = {**_LAYERS, "image_size": SIDE, "patch_size": 16, "projection_dim": 16}
    config = transformers.CLIPConfig(text_config=text, vision_config=vision, projection_dim=16)
    transformers.CLIPModel(config).save_pretrained(folder)
    transformers.CLIPImageProcessor(
        size={"shortest_edge": SIDE}, crop_size={"height": SIDE, "width": SIDE}
    ).save_pretrained(folder)  # fmt: skip


def save_siglip(folder: Path, *, second: bool = False) -> None:
    """SigLIP of two small layers a tower: the first, or the second, which resizes bilinearly and has Gemma's tokenizer.

    Its texts end with `</s>` (id 1) and are padded with it; those of the second with `<pad>` (id 0).
    """
    import math

    import torch
    import transformers

    tokenizer = save_siglip_tokenizer(folder, SIGLIP_TOKENS, second=second)
    torch.manual_seed(1)
    text = {**_LAYERS, "vocab_size": tokenizer.get_vocab_size(), "max_position_embeddings": SIGLIP_TOKENS,
            "eos_token_id": 1, "pad_token_id": 0 if second else 1, "bos_token_id": None,
            "projection_size": 32}  # fmt: skip
    config = transformers.SiglipConfig(
        text_config=text, vision_config={**_LAYERS, "image_size": SIDE, "patch_size": 16}
    )
    model = transformers.SiglipModel(config)
    model.logit_scale.data.fill_(math.log(117.33))
    model.logit_bias.data.fill_(-12.93)
    for tower in (model.vision_model, model.text_model):  # so that the embeddings of different inputs differ
        for parameter in tower.parameters():
            parameter.data *= 2 if parameter.ndim > 1 else 1
    model.save_pretrained(folder)
    transformers.SiglipImageProcessor(
        size={"height": SIDE, "width": SIDE}, resample=2 if second else 3
    ).save_pretrained(folder)  # fmt: skip


def _save_clip_tokenizer(folder: Path) -> None:
    """A small byte-pair tokenizer in CLIP's manner, trained on a few words."""
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    made = Tokenizer(models.BPE(unk_token="<|endoftext|>", end_of_word_suffix="</w>"))
    made.normalizer = normalizers.Sequence([normalizers.NFC(), normalizers.Lowercase()])
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    specials = ["<|startoftext|>", "<|endoftext|>"]
    trainer = trainers.BpeTrainer(
        vocab_size=600, special_tokens=specials, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        end_of_word_suffix="</w>",
    )  # fmt: skip
    made.train_from_iterator(_TEXTS, trainer)
    ids = [present(made.token_to_id(special)) for special in specials]
    made.post_processor = processors.RobertaProcessing((specials[1], ids[1]), (specials[0], ids[0]), False, False)
    fast = PreTrainedTokenizerFast(
        tokenizer_object=made, bos_token=specials[0], eos_token=specials[1], unk_token=specials[1],
        pad_token=specials[1], model_max_length=CLIP_TOKENS,
    )  # fmt: skip
    fast.save_pretrained(str(folder))


def save_siglip_tokenizer(folder: Path, length: int, *, second: bool) -> Tokenizer:
    """A small tokenizer in the manner of SigLIP's sentencepiece, or of Gemma's for the second.

    The second's file does not lower-case texts, although the model was trained on such: as on public hubs.

    Args:
        folder: Folder for its files.
        length: Most tokens per text.
        second: Whether it is that of SigLIP 2.
    """
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers

    pad, eos, unk = ("<pad>", "<eos>", "<unk>") if second else ("<unk>", "</s>", "<unk>")
    made = Tokenizer(models.BPE(unk_token=unk, fuse_unk=True))
    replaced = normalizers.Replace(" ", "▁")
    made.normalizer = replaced if second else normalizers.Sequence([normalizers.Lowercase(), replaced])
    made.pre_tokenizer = pre_tokenizers.Split("▁", "merged_with_next")
    specials = list(dict.fromkeys((pad, eos, unk)))
    alphabet = list("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz▁")
    made.train_from_iterator(
        _TEXTS, trainers.BpeTrainer(vocab_size=200, special_tokens=specials, initial_alphabet=alphabet)
    )
    made.post_processor = processors.TemplateProcessing(single=f"$A {eos}", special_tokens=[(eos, 1)])
    folder.mkdir(parents=True, exist_ok=True)
    made.save(str(folder / "tokenizer.json"))
    stated = {
        "tokenizer_class": "GemmaTokenizer" if second else "SiglipTokenizer",
        "pad_token": {"__type": "AddedToken", "content": pad} if second else eos,
        "eos_token": eos,
        "unk_token": unk,
        "model_max_length": length,
        **({"padding_side": "right"} if second else {}),
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(stated))
    return made
