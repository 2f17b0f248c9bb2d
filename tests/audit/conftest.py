"""Makes ``builders`` importable for every test below this folder, by being here."""
