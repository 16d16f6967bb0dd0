"""Entry point of the ``piebridge`` script. It imports nothing that takes time before it heeds Ctrl-C."""

import sys

EXIT_INTERRUPTED = 130
"""Exit code after Ctrl-C, as shells have it."""


def main() -> None:
    """Run the command that the arguments name, and leave by its exit code; Ctrl-C is no error of the program."""
    try:
        from piebridge.cli import main as command_line

        code = command_line.run_arguments(sys.argv[1:])
    except KeyboardInterrupt:
        sys.stderr.write("interrupted\n")
        code = EXIT_INTERRUPTED
    sys.exit(code)
