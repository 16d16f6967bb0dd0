"""``python -m piebridge.cli``: the same as the ``piebridge`` script."""

from piebridge.cli.entry import main

main()
