"""Tokens of one answer, as the provider counted them. Never estimated: unknown is None."""

import msgspec


class Usage(msgspec.Struct, frozen=True):
    """`input_tokens` includes those read from (`cached_tokens`) and written to the provider's prompt cache."""

    input_tokens: int
    output_tokens: int
    cached_tokens: int = 0
    cache_write_tokens: int = 0

    @property
    def total_tokens(self) -> int:
        """What a token budget counts."""
        return self.input_tokens + self.output_tokens
