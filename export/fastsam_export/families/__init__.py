"""Families that can be exported, one file each; a file that defines a `Family` under `@register` is found here."""

from fastsam_export.family import Exported, ExportRequest, Family, all_families, register

__all__ = ["ExportRequest", "Exported", "Family", "all_families", "register"]
