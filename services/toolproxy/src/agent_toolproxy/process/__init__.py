"""Programs as children: bounded, confined, and gone when they are done."""
