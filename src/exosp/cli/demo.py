"""exosp demo: the main job from nothing to proof, on the embedded tenant. Writes nothing outside a temporary folder."""

from typing import Annotated

import typer

from .options import Format, FormatOption, NoColor, Quiet, Verbose

FaultsOption = Annotated[
    str, typer.Option("--faults", metavar="PRESET|NAME=VALUE,…", help="How unkind the tenant is: none, default, slow.")
]
Seed = Annotated[int, typer.Option("--seed", help="The same seed, the same delays and losses.")]


def demo(
    faults: FaultsOption = "default",
    seed: Seed = 0,
    form: FormatOption = Format.text,
    quiet: Quiet = False,
    verbose: Verbose = False,
    no_color: NoColor = False,
) -> None:
    """Plan, apply and prove the quickstart playbook on an emulated tenant, on this machine only."""
    from . import showing
    from .sandbox import need_extra
    from .screen import Screen

    need_extra()
    proven = showing.run(Screen(form, quiet=quiet, verbose=verbose, no_color=no_color), faults=faults, seed=seed)
    raise typer.Exit(0 if proven else 1)
