"""Options that every command on a management chain has."""

from pathlib import Path
from typing import Annotated

import typer

ManagementOption = Annotated[
    Path, typer.Option("--management", help="Folder with management.json, or that file itself.")
]
AccountOption = Annotated[
    str,
    typer.Option(
        "--as",
        help="Who acts: name of a local account (management.json), or a keystore of purpose user.",
        show_default=False,
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for machines.")]
