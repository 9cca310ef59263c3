"""Make the environment of a peer, with the pinned versions of its packages.

    python benchmarks/peers/setup.py ultralytics

With `--reuse` another interpreter that has the packages is used instead: nothing is installed, and differences of
versions are printed. The last line says what to run next.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import venv
from pathlib import Path

import pins

ENVIRONMENTS = pins.HERE / ".envs"


def interpreter(folder: Path) -> Path:
    """The interpreter of an environment."""
    return folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def versions_of(python: Path, peer: str) -> dict[str, str]:
    """The installed versions of a peer's packages in an interpreter.

    Raises:
        OSError, subprocess.CalledProcessError: The interpreter can't run.
    """
    program = (
        "import json, sys; sys.path.insert(0, sys.argv[1]); import pins; from pathlib import Path; "
        "print(json.dumps(pins.installed(pins.pinned(Path(sys.argv[2])))))"
    )
    command = [str(python), "-c", program, str(pins.HERE), str(pins.requirements(peer))]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    found: dict[str, str] = json.loads(done.stdout)
    return found


def main(argv: list[str] | None = None) -> int:
    """Make or check an environment; returns 0 if all versions are as pinned, 1 if not, 2 if it can't be done."""
    assert __doc__ is not None
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("peer", choices=pins.PEERS)
    parser.add_argument(
        "--into", type=Path, metavar="FOLDER", help="folder of the environment (benchmarks/peers/.envs/PEER)"
    )
    parser.add_argument("--reuse", type=Path, metavar="PYTHON", help="check this interpreter instead")
    args = parser.parse_args(argv)
    python: Path | None = args.reuse
    try:
        if python is None:
            folder = args.into or ENVIRONMENTS / args.peer
            venv.create(folder, with_pip=True)
            python = interpreter(folder)
            install = [str(python), "-m", "pip", "install", "--requirement", str(pins.requirements(args.peer))]
            subprocess.run(install, check=True)
        found = versions_of(python, args.peer)
    except subprocess.CalledProcessError as error:
        reason = (error.stderr or "its output is above").strip().splitlines()[-1]
        print(f"setup.py: error: expected {error.cmd[0]} to succeed, found: {reason}", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"setup.py: error: expected an interpreter in {python}, found: {error.strerror}", file=sys.stderr)
        return 2
    different = pins.differences(pins.pinned(pins.requirements(args.peer)), found)
    print("\n".join(different) or f"{args.peer}: all {len(found)} versions are as pinned")
    option = "" if args.reuse is None and args.into is None else f" --python {python}"
    print(f"next: python benchmarks/peers/compare.py {args.peer}{option}")
    return 1 if different else 0


if __name__ == "__main__":
    sys.exit(main())
