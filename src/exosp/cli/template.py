"""exosp template: print a file to start from. Exit 0 printed or listed, 2 there is none of that name. It writes no file."""

from typing import Annotated

import typer

# Name -> file in templates/, "" where it is made of a table; and what it is.
TEMPLATES = {
    "playbook": ("playbook.yaml", "a playbook to fill in"),
    "cloud": (
        "",
        "one row of the cloud table as a cloud file, each value with its source and how sure it is (--cloud NAME)",
    ),
    "host": ("host.ps1", "PowerShell that prepares a Windows management host: module, listener, account, JEA endpoint"),
}

Name = Annotated[
    str, typer.Argument(metavar="[NAME]", help="Which one; without it, a list of them.", show_default=False)
]  # fmt: skip
CloudName = Annotated[
    str, typer.Option("--cloud", metavar="NAME", help="Which cloud: global, gcc-high, dod or china.", show_default=False)
]  # fmt: skip


def template(name: Name = "", cloud: CloudName = "") -> None:
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
    if name == "cloud":
        from .. import clouds

        print(clouds.shown(cloud or "global"))
        return
    if cloud:
        raise UsageError(
            "only the template cloud is of a cloud", where="--cloud", hint="exosp template cloud --cloud NAME"
        )
    print(resources.path("templates", found[0]).read_text(encoding="utf-8"), end="")
