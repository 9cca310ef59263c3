"""Train a small CLIP on crops of drawn scenes and captions, with exact labels for every pair of crop and caption.

The loss has three parts:

- the pairwise sigmoid loss of SigLIP (arXiv 2303.15343) over all pairs of a batch. Labels are exact: a crop of a red
  star is also "something red";
- the contrastive loss of CLIP among captions of the same kind;
- the coverage of each patch by the item, predicted by a head that is not part of the model. With it a tower of this
  size learns shapes several times faster.

Afterwards one cosine is calibrated, above which a crop matches a prompt. It is stored in the exported file under the
key `even_cosine`, and is the threshold for all prompts.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import captions
import cv2
import numpy as np
import torch
import transformers
from numpy.typing import NDArray
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

from fastsam_trt.clip.crops import resize_shortest_edge, square_windows
from fastsam_trt.demo import ALL_PAIRS, COLOURS, HELD_OUT_PAIRS, SHAPES, draw_scene
from fastsam_trt.prompts.text_options import DEFAULT_TEMPLATES

SIDE_PX, PATCH_PX = 48, 16
CELLS = 12  # cells of an item's coverage, along a side of a crop
LENGTH = 16  # tokens per text
VISION_WIDTH, TEXT_WIDTH = 96, 64
BATCH = 128  # crops
MEAN, STD = (0.5, 0.5, 0.5), (0.5, 0.5, 0.5)
PAIRS = tuple(pair for pair in ALL_PAIRS if pair not in HELD_OUT_PAIRS)


@dataclass(frozen=True, slots=True, eq=False)
class Crops:
    """n crops.

    Attributes:
        pictures: (n, 48, 48, 3) uint8 BGR.
        coverage: (n, 12, 12) float32, the share of each cell that the item covers.
        colours, shapes: Colour and shape of the item; None for background.
        scenes: (n,) index of the scene of each crop.
    """

    pictures: NDArray[np.uint8]
    coverage: NDArray[np.float32]
    colours: list[str | None]
    shapes: list[str | None]
    scenes: NDArray[np.intp]

    def __len__(self) -> int:
        return len(self.pictures)


def draw_crops(first_seed: int, scenes: int) -> Crops:
    """Crop the items that are visible enough to be named, and some background."""
    pictures: list[NDArray[np.uint8]] = []
    coverage: list[NDArray[np.float32]] = []
    colours: list[str | None] = []
    shapes: list[str | None] = []
    sources: list[int] = []
    for seed in range(first_seed, first_seed + scenes):
        scene = draw_scene(seed, 320, 320, items=(2, 7), pairs=PAIRS)
        generator = np.random.default_rng(seed)
        boxes, masks = [], []
        for item, mask, visible in zip(scene.items, scene.masks, scene.visible, strict=True):
            if visible < 0.4 or mask.sum() < 100:
                continue
            rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
            box = np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1], np.float32)
            size = np.tile(box[2:] - box[:2], 2)
            boxes.append(box + generator.normal(0, 0.04, 4) * size)  # inexact, as boxes of a segmenter are
            masks.append(mask)
            colours.append(item.colour)
            shapes.append(item.shape)
        covered = scene.masks.any(axis=0)
        for _ in range(6):
            x, y, side = *generator.uniform(0, 300, 2), generator.uniform(16, 90)
            if covered[int(y) : int(y + side), int(x) : int(x + side)].mean() < 0.03:
                boxes.append(np.array([x, y, x + side, y + side], np.float32))
                masks.append(np.zeros_like(covered))
                colours.append(None)
                shapes.append(None)
                break
        windows = square_windows(np.array(boxes, np.float32).reshape(-1, 4), 320, 320)
        for (x0, y0, x1, y1), mask in zip(windows.tolist(), masks, strict=True):
            planes = resize_shortest_edge(scene.frame[y0:y1, x0:x1], SIDE_PX)
            pictures.append(planes.transpose(1, 2, 0).astype(np.uint8))
            shown = mask[y0:y1, x0:x1].astype(np.float32)
            coverage.append(np.asarray(cv2.resize(shown, (CELLS, CELLS), interpolation=cv2.INTER_AREA), np.float32))
            sources.append(seed - first_seed)
    return Crops(np.stack(pictures), np.stack(coverage), colours, shapes, np.array(sources))


def make_tokenizer(folder: Path) -> Any:
    """Train a byte-pair tokenizer like CLIP's on the captions, and save it with its settings."""
    first, last = "<|startoftext|>", "<|endoftext|>"
    made = Tokenizer(models.BPE(unk_token=last, end_of_word_suffix="</w>"))
    made.normalizer = normalizers.Sequence([normalizers.NFC(), normalizers.Lowercase()])
    made.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Whitespace(), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    made.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=800, special_tokens=[first, last], initial_alphabet=alphabet, end_of_word_suffix="</w>"
    )
    made.train_from_iterator([*captions.every_text(), *(f"{letter} {letter}" for letter in alphabet)], trainer)
    made.post_processor = processors.RobertaProcessing(
        (last, made.token_to_id(last)), (first, made.token_to_id(first)), trim_offsets=False, add_prefix_space=False
    )
    fast = transformers.PreTrainedTokenizerFast(
        tokenizer_object=made, bos_token=first, eos_token=last, unk_token=last, pad_token=last, model_max_length=LENGTH
    )
    fast.save_pretrained(str(folder))
    return fast


def make_model(tokenizer: Any) -> transformers.CLIPModel:
    """The untrained towers."""
    special = {"bos_token_id": tokenizer.bos_token_id, "eos_token_id": tokenizer.eos_token_id,
               "pad_token_id": tokenizer.pad_token_id}  # fmt: skip
    text = _tower(TEXT_WIDTH, 2) | special | {"vocab_size": len(tokenizer), "max_position_embeddings": LENGTH}
    vision = _tower(VISION_WIDTH, 4) | {"image_size": SIDE_PX, "patch_size": PATCH_PX}
    config = transformers.CLIPConfig(text_config=text, vision_config=vision, projection_dim=TEXT_WIDTH)
    # On a CPU the backward pass of fused attention is several times slower than that of the plain one.
    return transformers.CLIPModel._from_config(config, attn_implementation="eager")  # noqa: SLF001 - as its users do


def _tower(width: int, layers: int) -> dict[str, int]:
    return {"hidden_size": width, "intermediate_size": 2 * width, "num_attention_heads": 4, "num_hidden_layers": layers,
            "projection_dim": TEXT_WIDTH}  # fmt: skip


def train(folder: Path, *, scenes: int, steps: int, seed: int, say: Callable[[str], None] = print) -> Path:
    """Train the model.

    Args:
        folder: Folder for the model, in transformers' format.
        scenes: Number of scenes to crop from.
        steps: Number of batches of 128 crops, each compared with captions of all kinds.
        seed: Seed of scenes, weights and order.
        say: Called with messages about the progress.

    Returns:
        The folder of the model.
    """
    torch.set_num_threads(os.cpu_count() or 1)
    torch.manual_seed(seed)
    generator = np.random.default_rng(seed)
    out = folder / "clip"
    out.mkdir(parents=True, exist_ok=True)
    tokenizer = make_tokenizer(out)
    transformers.CLIPImageProcessor(
        size={"shortest_edge": SIDE_PX}, crop_size={"height": SIDE_PX, "width": SIDE_PX}, image_mean=MEAN, image_std=STD
    ).save_pretrained(out)
    model = make_model(tokenizer).train()
    where = torch.nn.Linear(VISION_WIDTH, (CELLS * PATCH_PX // SIDE_PX) ** 2)
    crops = draw_crops(seed + 1_000_000, scenes)
    say(f"{len(crops)} crops, {sum(p.numel() for p in model.parameters()):,} parameters")
    scale = torch.nn.Parameter(torch.tensor(2.3))
    bias = torch.nn.Parameter(torch.tensor(-5.0))
    parameters = [*(p for name, p in model.named_parameters() if name != "logit_scale"), *where.parameters()]
    optimizer = torch.optim.AdamW([*parameters, scale, bias], lr=2e-3, betas=(0.9, 0.98), weight_decay=0.02)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 2e-3, total_steps=steps, pct_start=0.08)
    start = time.perf_counter()
    for step in range(steps):
        chosen = generator.integers(0, len(crops), BATCH)
        texts = captions.draw_captions(generator, PAIRS)
        labels = captions.truth(texts, [crops.colours[i] for i in chosen], [crops.shapes[i] for i in chosen])
        batch, covered = _augment(crops.pictures[chosen], crops.coverage[chosen], generator)
        ids = tokenizer([t.text for t in texts], padding="max_length", truncation=True, max_length=LENGTH)["input_ids"]
        seen = model.vision_model(pixel_values=torch.from_numpy(batch))
        image = model.visual_projection(seen.pooler_output)
        text = model.text_projection(model.text_model(input_ids=torch.tensor(ids)).pooler_output)
        cosine = torch.nn.functional.normalize(image) @ torch.nn.functional.normalize(text).T
        logits = cosine * scale.exp() + bias
        wanted = torch.from_numpy(labels)
        loss = torch.nn.functional.binary_cross_entropy_with_logits(logits, wanted, pos_weight=torch.tensor(3.0))
        loss = 10 * loss + _which(logits, wanted)
        loss = loss + 5 * _where(where(seen.last_hidden_state[:, 1:]), torch.from_numpy(covered))
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        schedule.step()
        if step % 100 == 99:
            right = ((logits > 0).float() == wanted).float().mean()
            spent = time.perf_counter() - start
            say(f"step {step + 1}: loss {loss.item():.4f}, pairs right {right.item():.4f}, "
                f"decision cosine {(-bias / scale.exp()).item():.3f}, {spent:.0f} s")  # fmt: skip
    model.logit_scale.data.copy_(scale.detach())
    model.eval()
    model.config.even_cosine = calibrate(model, tokenizer, draw_crops(seed + 2_000_000, 300), generator)
    say(f"decision cosine {model.config.even_cosine:.3f}, calibrated on 300 scenes")
    model.save_pretrained(out)
    return out


def calibrate(model: transformers.CLIPModel, tokenizer: Any, crops: Crops, generator: np.random.Generator) -> float:
    """The cosine above which a crop matches a prompt, for all prompts.

    It is measured on scenes that training did not use. The prompts name everything in a scene (colour and shape,
    colour, shape) and some absent things. Each candidate is scored by the mean of the three F1 scores and of the share
    of absent things that select nothing. The result is the middle of all candidates within 0.005 of the best score.
    """
    prompts = [captions.Caption(f"{c} {s}", c, s, "items") for c, s in PAIRS]
    prompts += [captions.Caption(c, c, None, "items") for c in COLOURS]
    prompts += [captions.Caption(s, None, s, "items") for s in SHAPES]
    kinds = np.array([0] * len(PAIRS) + [1] * len(COLOURS) + [2] * len(SHAPES))
    wanted = captions.truth(prompts, crops.colours, crops.shapes) > 0
    with torch.inference_mode():
        cosine = (
            _embed_crops(model, crops) @ _embed_prompts(model, tokenizer, [each.text for each in prompts]).T
        ).numpy()
    scenes = int(crops.scenes.max()) + 1
    present = np.zeros((scenes, len(prompts)), np.bool_)
    np.logical_or.at(present, crops.scenes, wanted)
    absent = ~present & (generator.random(present.shape) < 0.08)
    scores, tried = [], np.linspace(0.05, 0.95, 181)
    for candidate in tried:
        chosen = cosine > candidate
        parts = []
        for kind in range(3):
            counts = present[crops.scenes] & (kinds == kind)
            right = (chosen & wanted & counts).sum()
            parts.append(2 * right / max(((chosen & counts).sum() + (wanted & counts).sum()), 1))
        answered = np.zeros_like(present)
        np.logical_or.at(answered, crops.scenes, chosen)
        parts.append(1 - answered[absent].mean())
        scores.append(np.mean(parts))
    good = tried[np.array(scores) > max(scores) - 0.005]
    return float((good[0] + good[-1]) / 2)


def _embed_crops(model: transformers.CLIPModel, crops: Crops) -> torch.Tensor:
    parts = []
    for start in range(0, len(crops), BATCH):
        lit = ((crops.pictures[start : start + BATCH, ..., ::-1] / 255 - MEAN) / STD).transpose(0, 3, 1, 2)
        pixels = torch.from_numpy(np.ascontiguousarray(lit, np.float32))
        parts.append(model.visual_projection(model.vision_model(pixel_values=pixels).pooler_output))
    return torch.nn.functional.normalize(torch.cat(parts))


def _embed_prompts(model: transformers.CLIPModel, tokenizer: Any, prompts: list[str]) -> torch.Tensor:
    """Embed prompts as the pipeline does: the mean over its templates."""
    texts = [template.replace("{}", prompt) for prompt in prompts for template in DEFAULT_TEMPLATES]
    ids = tokenizer(texts, padding="max_length", truncation=True, max_length=LENGTH)["input_ids"]
    each = torch.nn.functional.normalize(
        model.text_projection(model.text_model(input_ids=torch.tensor(ids)).pooler_output)
    )
    return torch.nn.functional.normalize(each.reshape(len(prompts), len(DEFAULT_TEMPLATES), -1).mean(dim=1))


def _which(logits: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
    """Cross entropy of the items among the pairs, colours and shapes: it trains faster than the sigmoid loss."""
    items = wanted[:, : len(PAIRS)].any(dim=1)
    start, total = 0, torch.zeros(())
    for count in (len(PAIRS), len(COLOURS), len(SHAPES)):
        group = slice(start, start + count)
        total = total + torch.nn.functional.cross_entropy(logits[items, group], wanted[items, group].argmax(dim=1))
        start += count
    return total


def _where(logits: torch.Tensor, covered: torch.Tensor) -> torch.Tensor:
    """Cross entropy of the predicted coverage, (n, patches, cells), and the true one, (n, 12, 12)."""
    side, cells = SIDE_PX // PATCH_PX, CELLS * PATCH_PX // SIDE_PX
    laid = logits.reshape(-1, side, side, cells, cells).transpose(2, 3).reshape(-1, CELLS, CELLS)
    return torch.nn.functional.binary_cross_entropy_with_logits(laid, covered)


def _augment(
    pictures: NDArray[np.uint8], coverage: NDArray[np.float32], generator: np.random.Generator
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Rotate, mirror and brighten crops: (n, h, w, 3) uint8 BGR to (n, 3, h, w) float32 RGB, normalised."""
    turns = int(generator.integers(4))
    pictures, coverage = (np.rot90(each, turns, axes=(1, 2)) for each in (pictures, coverage))
    if generator.integers(2):
        pictures, coverage = pictures[:, :, ::-1], coverage[:, :, ::-1]
    gain = generator.uniform(0.9, 1.1, (len(pictures), 1, 1, 1))
    lit = np.clip(pictures[..., ::-1] * gain, 0, 255) / 255
    pixels = np.ascontiguousarray(((lit - MEAN) / STD).transpose(0, 3, 1, 2), np.float32)
    return pixels, np.ascontiguousarray(coverage)
