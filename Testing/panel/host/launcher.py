"""A launcher, as Slicer's `PythonSlicer` is one: its channels are its child's, and it handles no signal.

So a signal to the whole group ends it before its child, and a child that the kernel killed becomes exit code 1.
"""

import os
import subprocess
import sys

INTERPRETER = "ORBITALSEG_HOST_PYTHON"
"""What is started instead of this Python."""


def main(arguments: list[str]) -> int:
    code = subprocess.run([os.environ.get(INTERPRETER, sys.executable), *arguments], check=False).returncode
    return code if code >= 0 else 1


if __name__ == "__main__":
    import signal

    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Python would wait for the child
    sys.exit(main(sys.argv[1:]))
