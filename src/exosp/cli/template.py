"""exosp template: print a file to start from. Exit 0 printed or listed, 2 there is none of that name. It writes no file."""

from typing import Annotated

import typer

# Name -> file in templates/, and what it is.
TEMPLATES = {
    "playbook": ("playbook.yaml", "a playbook to fill in"),
    "host": ("host.ps1", "PowerShell that prepares a Windows management host: module, listener, account, JEA endpoint"),
}

Name = Annotated[
    str, typer.Argument(metavar="[NAME]", help="Which one; without it, a list of them.", show_default=False)
]  # fmt: skip


def template(name: Name = "") -> None:
    """Print a template: a file to look through, change and keep.

    exosp template host > host.ps1
    """
    from .. import resources
    from ..errors import UsageError

    if not name:
        width = max(map(len, TEMPLATES))
        for known, (_, what) in TEMPLATES.items():
            print(f"{known:<{width}}  {what}")
        return
    found = TEMPLATES.get(name)
    if found is None:
        raise UsageError(f"no template {name!r}", where="exosp template", hint=f"there are {', '.join(TEMPLATES)}")
    print(resources.path("templates", found[0]).read_text(encoding="utf-8"), end="")
