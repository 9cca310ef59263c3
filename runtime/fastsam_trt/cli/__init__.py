"""The command line, and what scripts share with it."""

from fastsam_trt.cli.script_errors import one_line_errors

__all__ = ["one_line_errors"]
