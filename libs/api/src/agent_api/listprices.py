"""List prices and context sizes of current models, as their makers publish them.

They stand in `listprices.json`, with the day on which they were read and the pages. The platform's settings (`prices`)
and gateway.json go before them. A model with another date behind its name is the same model.
"""

import re
from functools import cache, lru_cache
from importlib import resources
from typing import Final

from pydantic import Field

from agent_api.model import Config

MOST_NAMES: Final = 1024
"""Of models whose rows are remembered: agents choose names."""
_SNAPSHOT: Final = re.compile(r"-(?:20\d{6}|20\d\d-\d\d-\d\d|latest|0)$")


class LongContext(Config):
    """What a request costs whose input is longer than `above_tokens`: all of it, by these factors."""

    above_tokens: int = Field(ge=1)
    input_factor: float = Field(default=1.0, ge=1, le=100)
    output_factor: float = Field(default=1.0, ge=1, le=100)


class Price(Config):
    """Price of a model, in US dollars per million tokens."""

    input_usd: float = Field(ge=0)
    output_usd: float = Field(ge=0)
    cached_input_usd: float | None = Field(default=None, ge=0, description="None: as input.")
    cache_write_usd: float | None = Field(
        default=None, ge=0, description="Input written to the provider's prompt cache; None: as input."
    )
    long_cache_write_usd: float | None = Field(
        default=None, ge=0, description="The same, kept for an hour or longer; None: as other writes."
    )
    reasoning_usd: float | None = Field(default=None, ge=0, description="None: as output.")
    premium_factor: float = Field(
        default=2.0, ge=1, le=100, description="Of a request for a faster service (`priority`, `fast`)."
    )
    long_context: LongContext | None = Field(default=None, description="None: length does not change the price.")

    def cost_micro_usd(
        self,
        *,
        input_tokens: int,
        output_tokens: int,
        cached_tokens: int = 0,
        cache_write_tokens: int = 0,
        long_cache_write_tokens: int = 0,
        reasoning_tokens: int = 0,
    ) -> float:
        """What one call costs, in millionths of a dollar.

        Cached and written tokens are a part of the input, those written for long of those written, reasoning of the
        output.
        """
        read_usd = self.input_usd if self.cached_input_usd is None else self.cached_input_usd
        write_usd = self.input_usd if self.cache_write_usd is None else self.cache_write_usd
        long_usd = write_usd if self.long_cache_write_usd is None else self.long_cache_write_usd
        thought_usd = self.output_usd if self.reasoning_usd is None else self.reasoning_usd
        asked = (
            (input_tokens - cached_tokens - cache_write_tokens) * self.input_usd
            + cached_tokens * read_usd
            + (cache_write_tokens - long_cache_write_tokens) * write_usd
            + long_cache_write_tokens * long_usd
        )
        made = (output_tokens - reasoning_tokens) * self.output_usd + reasoning_tokens * thought_usd
        if self.long_context is None or input_tokens <= self.long_context.above_tokens:
            return asked + made
        return asked * self.long_context.input_factor + made * self.long_context.output_factor


class ListedModel(Config):
    """A row of the table."""

    context_tokens: int | None = None
    price: Price


class ListPrices(Config):
    """The whole table. `read` is the day on which the pages said so."""

    read: str
    sources: tuple[str, ...]
    models: dict[str, ListedModel]


@cache
def list_prices() -> ListPrices:
    """The table that this release comes with."""
    return ListPrices.model_validate_json(resources.files("agent_api").joinpath("listprices.json").read_bytes())


@lru_cache(maxsize=MOST_NAMES)
def listed(model: str) -> ListedModel | None:
    """The row of a model, with or without its date."""
    models = list_prices().models
    return models.get(model) or models.get(undated(model))


def undated(model: str) -> str:
    """A model's name without the date of its snapshot."""
    return _SNAPSHOT.sub("", model)
