"""Exchange: cmdlets as data, whose rows and errors are whose, and the ways to run them.

``cmdlets`` is the vocabulary, ``errors`` what error records mean, ``joining`` who an answer belongs to, ``online`` the
tenant's Exchange port on any remoting, ``census`` the audit's (``bearers``: whom its rows name); ``remotings`` lists the ways,
``spreading`` and ``flowing`` hold how much is under way at once. One file a remoting: ``winrm``, ``pwsh``, ``admin_api``.
Nothing heavy is imported before it is used.
"""

from .cmdlets import CHUNK, CMDLETS, OURS, Answer, Cmdlet, Item, Remoting, Row, Rows
from .online import Online

__all__ = ["CHUNK", "CMDLETS", "OURS", "Answer", "Cmdlet", "Item", "Online", "Remoting", "Row", "Rows"]
