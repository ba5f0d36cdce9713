"""One installer for each kind of package."""
