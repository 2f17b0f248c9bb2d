"""Foreign text made harmless: a server's answer must not move the cursor, change colours or turn what is read around."""

import unicodedata

# Controls, format characters (bidi controls, zero widths), surrogates, private and unassigned, line separators.
_UNSEEN = frozenset(("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"))
_KEPT = frozenset("\u200c\u200d")  # joiners: letters of Persian and Hindi names need them
_NAMED = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}


def plain(text: str) -> str:
    """One line that any terminal shows as it is: whatever cannot be seen stands as its escape, ``\\x1b``."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(_seen(char) for char in text)


def _seen(char: str) -> str:
    if char in _KEPT or unicodedata.category(char) not in _UNSEEN:
        return char
    if char in _NAMED:
        return _NAMED[char]
    code = ord(char)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
