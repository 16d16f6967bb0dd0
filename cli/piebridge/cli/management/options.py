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
RegistrationOption = Annotated[
    int,
    typer.Option("--registration", help="Number of the parachain for which you act.", min=1, show_default=False),
]
RequestOption = Annotated[
    str | None,
    typer.Option(
        "--request",
        help="Id of the request, or its beginning, as `status` shows it. Not needed where only one is under way.",
        show_default=False,
    ),
]
ExpiresOption = Annotated[int, typer.Option("--expires-in", help="Seconds after which the request dies.", min=1)]
SingleOperatorOption = Annotated[
    bool,
    typer.Option(
        "--single-operator",
        help="Yes, one operator shall hold all keys of the relay chains; every approval has to say so.",
    ),
]
DomainArgument = Annotated[int, typer.Argument(help="Number of the domain.", min=1, show_default=False)]
