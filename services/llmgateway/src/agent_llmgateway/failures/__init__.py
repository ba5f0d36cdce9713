"""What a failed try means."""
