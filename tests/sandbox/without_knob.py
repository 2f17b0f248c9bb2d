"""A pytest plugin for one process: the knob that WITHOUT_KNOB names stays as in ``none``, whatever a test sets."""

import os

from exosp.sandbox import faults

_set = faults.Faults.set
_KNOB = next(knob for knob in faults.KNOBS if knob.name == os.environ["WITHOUT_KNOB"])


def _without(self: faults.Faults, name: str, value: object) -> None:
    _set(self, name, _KNOB.none if name == _KNOB.name else value)


faults.Faults.set = _without  # type: ignore[method-assign]  # the process is this plugin's own
