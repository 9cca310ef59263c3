"""Decoders of the model families, one file each; a file in this folder registers its class with `@register`."""

from fastsam_trt.segmentation.decoder import Decoder, OpenPart, Thresholds, decoder_for, register

__all__ = ["Decoder", "OpenPart", "Thresholds", "decoder_for", "register"]
