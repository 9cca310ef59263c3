"""Families that can be adopted, one file each; a file that defines a `ReadyFamily` under `@register` is found here."""
