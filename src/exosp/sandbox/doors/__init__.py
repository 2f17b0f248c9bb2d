"""The mail doors: IMAP, POP3 and SMTP as Exchange Online serves them, with XOAUTH2.

``access`` judges a login and knows no wire; ``imap``, ``pop`` and ``smtp`` speak and decide nothing about access;
``wording`` holds every text that Exchange answers, each with its source.
"""
