"""What every program shares, from the standard library alone. Import from the modules."""
