"""Answers of one dialect as another's, whole or as a stream."""
