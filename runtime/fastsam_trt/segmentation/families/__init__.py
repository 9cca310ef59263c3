"""Model families, one file each. A file that defines a `Decoder` under `@register` is found by being in this folder."""

from fastsam_trt.segmentation.decoder import Decoder, OpenPart, Thresholds, decoder_for, register

__all__ = ["Decoder", "OpenPart", "Thresholds", "decoder_for", "register"]
