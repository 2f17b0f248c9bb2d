"""The page of an audit, a part a file, with its style and script beside them; ``audit_html.render`` puts it together."""
