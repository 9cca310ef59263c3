"""`python -m fastsam_trt`: the command."""

from fastsam_trt.cli.main import entry

if __name__ == "__main__":
    entry()
