"""CLIP ViT-B/32 with weights of the caller's seed, for scripts that measure costs."""

from __future__ import annotations

from pathlib import Path

from fastsam_trt.bundled_models import CLIP, locate

_TINY = {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4}


def save_clip(folder: Path, *, tiny: bool = False) -> Path:
    """CLIP ViT-B/32, whose configuration is transformers' default; the tokenizer is the demo's, which is small.

    Args:
        folder: To make.
        tiny: Towers of two narrow layers in place of the true ones.
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
