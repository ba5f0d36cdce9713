"""The providers' side: connections, keys, and what each type of provider expects."""
