"""The checks, one a file, in the order in which an auditor reads them. A check is added here and nowhere else."""

from types import ModuleType

from ..finding import Check

_MODULES: tuple[ModuleType, ...] = ()


def _check(module: ModuleType) -> Check:
    return Check(module.__name__.rpartition(".")[2].replace("_", "-"), module.__doc__ or "", module.NEEDS, module.find)


CHECKS: tuple[Check, ...] = tuple(map(_check, _MODULES))
