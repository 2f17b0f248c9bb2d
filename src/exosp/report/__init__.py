"""Objects in, text out. Nothing here prints, reads or decides; ``cli`` does the printing."""
