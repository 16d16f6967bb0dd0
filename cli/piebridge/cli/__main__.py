"""``python -m piebridge.cli``: the same as the ``piebridge`` script."""

from piebridge.cli.main import main

main()
