"""exosp demo: the main job from nothing to proof, on the embedded tenant. Writes nothing outside a temporary folder."""

from typing import Annotated

import typer

from .options import Format, FormatOption, NoColor, Quiet, Verbose
from .screen import Screen

FaultsOption = Annotated[
    str,
    typer.Option("--faults", metavar="PRESET|NAME=VALUE,…", help="How unkind the tenant is: none, default, slow."),
]
Seed = Annotated[int, typer.Option("--seed", metavar="N", help="The same seed, the same delays and losses.")]


def demo(
    faults: FaultsOption = "default",
    seed: Seed = 0,
    form: FormatOption = Format.text,
    quiet: Quiet = False,
    verbose: Verbose = False,
    no_color: NoColor = False,
) -> None:
    """Plan, apply and prove the quickstart playbook on an emulated tenant, on this machine only."""
    with Screen(form, command="demo", quiet=quiet, verbose=verbose, no_color=no_color) as screen:
        from .sandbox import need_extra

        need_extra()
        with screen.progress("starting the emulated tenant"):
            from . import showing
        raise typer.Exit(0 if showing.run(screen, faults=faults, seed=seed) else 1)
