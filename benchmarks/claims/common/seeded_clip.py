"""CLIP ViT-B/32 with random weights, for scripts that measure costs. The caller sets the seed."""

from __future__ import annotations

from pathlib import Path

from fastsam_trt.bundled_models import CLIP, locate

_TINY = {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4}


def save_clip(folder: Path, *, tiny: bool = False) -> Path:
    """Save CLIP ViT-B/32, the default configuration of transformers, with the small tokenizer of the demo.

    Args:
        folder: Folder to create.
        tiny: Whether the towers have only two narrow layers.
    """
    import transformers
    from tokenizers import Tokenizer

    folder.mkdir()
    start, end = "<|startoftext|>", "<|endoftext|>"
    tokenizer = transformers.PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer.from_file(str(Path(locate(CLIP)) / "tokenizer.json")),
        bos_token=start, eos_token=end, unk_token=end, pad_token=end, model_max_length=77,
    )  # fmt: skip
    tokenizer.save_pretrained(str(folder))
    ids = {"bos_token_id": tokenizer.bos_token_id, "eos_token_id": tokenizer.eos_token_id}
    size = _TINY if tiny else {}
    config = transformers.CLIPConfig(text_config={**size, **ids}, vision_config=size)
    transformers.CLIPModel(config).save_pretrained(folder)
    transformers.CLIPImageProcessor().save_pretrained(folder)
    return folder
