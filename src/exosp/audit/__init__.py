"""Who can open which mailbox, for a whole tenant: reading it (``collect``), keeping it (``file``), judging it (``judge``)."""
