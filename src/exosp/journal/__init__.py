"""What was done, and what stood there before: one file of JSON lines a run, in a folder for one tenant and application.

An intent line is on the disk before its writes are sent, a result line after they were answered; both list every item.
So a run that was killed leaves behind what it may have done, undo finds what it did, and a secret whose text nobody has
is known for what it is. It never decides what to send, and no secret comes here.

Lines, each an object::

    {"journal": 1, run, command, tenant, application, digest, at}
    {"owes": [{mailbox, address, rights}]}          before a repair takes what it gives again later
    {"paid": true}                                  nothing is owed any more
    {"intent": n, items: [{step, write, before}]}   before the writes are sent
    {"result": n, answers: [[item, outcome, detail]]}
    {"end": outcome}

Outcomes: ``done``, ``found`` (it stood when it was read again), ``lost`` (it did not), ``failed``, ``unknown``, and ``made``
for a secret that is not saved yet.
"""

from .ages import Ages
from .history import TAKEN_UP, History, Item, Run, folder, history, without
from .recording import CHUNK, NOTHING, Chunk, Journal, Recorder, opened
from .standing import before, forms_of, stands

__all__ = [
    "CHUNK", "NOTHING", "TAKEN_UP", "Ages", "Chunk", "History", "Item", "Journal", "Recorder", "Run", "before", "folder", "forms_of",
    "history", "opened", "stands", "without",
]  # fmt: skip
