"""Refusals in the words of their APIs, and the settings they teach."""

import pytest

from agent_llmgateway.providererrors.causes import Cause
from agent_llmgateway.providererrors.classify import Failure
from agent_llmgateway.providererrors.lessons import Sent, may_teach, read_lesson


def refusal(message: str, param: str | None = None) -> Failure:
    return Failure(Cause.REFUSED, 400, message, param=param)


@pytest.mark.parametrize(
    "message,most",
    [
        # the API's own words, as users have reported them
        (("max_tokens is too large: 64000. This model supports at most 16384 completion tokens, whereas you provided "
         "64000."), 16_384),
        (("max_tokens: 64000 > 8192, which is the maximum allowed number of output tokens for "
         "claude-3-5-haiku-20241022"), 8_192),
        ("Invalid 'max_output_tokens': integer above maximum value. Expected a value <= 32768, but got 64000 instead.",
         32_768),
        ("Invalid max_tokens value, the valid range of max_tokens is [1, 8192]", 8_192),
        ("<400> InternalError.Algo.InvalidParameter: Range of max_tokens should be [1, 16384]", 16_384),
        (("`max_tokens` must be less than or equal to `32768`, the maximum value for `max_tokens` is less than the "
         "`context_window` for this model"), 32_768),
        (("Unable to submit request because it has a maxOutputTokens value of 64000 but the supported range is from 1 "
         "(inclusive) to 8193 (exclusive). Update the value and try again."), 8_192),
        (("The maximum tokens you requested exceeds the model limit of 4096. Try again with a maximum tokens value "
         "that is lower than 4096."), 4_096),
        ("too many tokens: max tokens must be less than or equal to 4,096", 4_096),
        ("Error code: 400 - max_tokens: Input should be less than or equal to 20000", 20_000),
    ],
)  # fmt: skip
def test_a_limit_that_is_told_is_learnt(message: str, most: int) -> None:
    lesson = read_lesson(refusal(message), Sent("max_tokens", 64_000))
    assert lesson is not None
    assert (lesson.options, lesson.lasts) == ({"maxOutputTokens": most}, True)


def test_ids_of_nine_characters_are_learnt() -> None:
    words = "Tool call id was call_2RRfGeyW2FwoGNRzQ6OaIQsZ but must be a-z, A-Z, 0-9, with a length of 9."
    lesson = read_lesson(refusal(words), Sent())
    assert lesson is not None
    assert (lesson.options, lesson.lasts) == ({"toolIds": "short"}, True)


@pytest.mark.parametrize(
    "message,left",
    [
        (("'max_tokens' or 'max_completion_tokens' is too large: 64000. This model's maximum context length is 32768 "
         "tokens and your request has 768 input tokens (64000 > 32768 - 768)."), 31_500),
        (("This endpoint's maximum context length is 66000 tokens. However, you requested about 66100 tokens (2000 of "
         "text input, 64100 in the output). Please reduce the length of either one"), 63_000),
        (("input length and `max_tokens` exceed context limit: 136000 + 64000 > 168000, decrease input length or "
         "`max_tokens` and try again"), 31_500),
        (("Requested token count exceeds the model's maximum context length of 32768 tokens. You requested a total of "
         "64768 tokens: 768 tokens from the input messages and 64000 tokens for the completion."), 31_500),
    ],
)  # fmt: skip
def test_what_a_context_leaves_is_for_this_request_only(message: str, left: int) -> None:
    lesson = read_lesson(refusal(message), Sent("max_tokens", 64_000))
    assert lesson is not None
    assert (lesson.options, lesson.lasts) == ({"maxOutputTokens": left}, False)


@pytest.mark.parametrize(
    "message,sent,options",
    [
        ("Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.",
         Sent("max_tokens", 100), {"tokenLimitField": "max_completion_tokens"}),
        ("Unrecognized request argument supplied: max_completion_tokens", Sent("max_completion_tokens", 100),
         {"tokenLimitField": "max_tokens"}),
        ("body.max_completion_tokens: Extra inputs are not permitted", Sent("max_completion_tokens", 100),
         {"tokenLimitField": "max_tokens"}),
        ("Unknown parameter: 'stream_options'", Sent(asks_usage=True), {"streamUsage": False}),
        ("Your organization must be verified to stream this model.", Sent(as_stream=True), {"streamWhole": False}),
        ("Streaming is not supported with tools", Sent(as_stream=True), {"streamWhole": False}),
    ],
)  # fmt: skip
def test_a_field_that_is_refused_is_done_without(message: str, sent: Sent, options: dict[str, object]) -> None:
    lesson = read_lesson(refusal(message), sent)
    assert lesson is not None
    assert lesson.options == options


@pytest.mark.parametrize(
    "message,sent",
    [
        ("max_tokens is too large", Sent("max_tokens", 64_000)),
        ("max_tokens: 64000 > 90000", Sent("max_tokens", 64_000)),
        ("maximum context length is 32768 tokens and your request has 32700 input tokens", Sent("max_tokens", 64_000)),
        ("messages: at least one of 5000 messages is required", Sent("max_tokens", 64_000)),
        ("Unsupported parameter: 'temperature' is not supported with this model.", Sent("max_tokens", 10)),
        ("Your organization must be verified to stream this model.", Sent()),
        ("Unknown parameter: 'stream_options'", Sent()),
        ("", Sent("max_tokens", 10, as_stream=True, asks_usage=True)),
    ],
)  # fmt: skip
def test_nothing_is_learnt_from_what_says_nothing(message: str, sent: Sent) -> None:
    assert read_lesson(refusal(message), sent) is None


def test_a_message_of_any_length_is_read_in_time() -> None:
    for hostile in ("context length is 9" * 100, "max_tokens " + "9" * 2000, "1," * 1000, "(exclusive)" * 180):
        assert read_lesson(refusal(hostile), Sent("max_tokens", 64_000)) is None


def test_only_what_is_about_the_request_teaches() -> None:
    assert may_teach(refusal("x"))
    assert not may_teach(Failure(Cause.RATE_LIMIT, 429, "max_tokens 16384"))
    assert not may_teach(Failure(Cause.FILTER, 400, "x"))
