"""Codes and phrases that outweigh the status of an error, such as a 429 for an empty account.

Providers use one status for many things: OpenAI answers 429 to an empty account, Anthropic 400. So some errors are
read. Whole phrases count, not single words, because a message may repeat the names of a client's tools.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from agent_llmgateway.providererrors.causes import Cause


@dataclass(frozen=True, slots=True)
class Subject:
    """One subject: the statuses that may be about it, its codes or error types, and its phrases."""

    cause: Cause
    statuses: frozenset[int]
    codes: frozenset[str]
    find_phrase: Callable[[str], object]

    def is_meant(self, message: str, *codes: str | None) -> bool:
        """Whether an error with `message` and `codes` is about this."""
        return not self.codes.isdisjoint(codes) or bool(self.find_phrase(message))


def _subject(cause: Cause, statuses: tuple[int, ...], codes: str, *phrases: str) -> Subject:
    find = re.compile("|".join(phrases), re.IGNORECASE).search
    return Subject(cause, frozenset(statuses), frozenset(codes.split()), find)


SUBJECTS: Final = (
    _subject(
        Cause.FILTER,
        (400, 403, 413, 422),
        "content_filter content_policy_violation moderation_blocked ResponsibleAIPolicyViolation cyber_policy "
        "policy_violation",
        r"content (?:management|filtering|usage|safety) policy",
        r"content[ _]filter",
        r"violat\w+ .{0,60}polic(?:y|ies)|(?:rejected|blocked|flagged) .{0,40}(?:safety system|moderation)",
    ),
    _subject(
        Cause.CONTEXT,
        (400, 413, 422),
        "context_length_exceeded exceed_context_size_error string_above_max_length",
        r"maximum context length|context (?:length|window)|exceed_context_size",
        r"(?:prompt|input) is too long|input length .{0,60}exceed|input token count .{0,60}exceed",
        r"too many (?:input )?tokens|reduce the length of (?:the|your) (?:messages|prompt|input)",
    ),
    _subject(
        Cause.STATE,
        (400, 404),
        "previous_response_not_found invalid_encrypted_content response_not_found item_not_found file_not_found "
        "conversation_not_found container_not_found container_expired",
        r"(?:previous response|item|conversation|container|file) (?:with (?:the )?id )?.{0,120}not found",
        r"encrypted content .{0,120}could not be (?:verified|decrypted|parsed|decoded)",
        r"no such (?:file|response|conversation|container)",
    ),
    _subject(
        Cause.RATE_LIMIT,  # such a message goes on to advertise a larger limit, with a page about billing
        (429,),
        "",
        r"rate limit reached for|exceed .{0,60}\brate limit|(?:requests|tokens) per (?:second|min|minute|hour|day)\b",
    ),
    _subject(
        Cause.KEY,
        (400, 429),
        "insufficient_quota billing_error billing_hard_limit_reached billing_not_active account_deactivated "
        "access_terminated invalid_api_key credit_balance_too_low payment_required authentication_error "
        "permission_error insufficient_balance exceeded_current_quota_error organization_restricted",
        r"credit balance|\bbilling\b|(?:spend(?:ing)?|usage|budget|credit) (?:limit|cap)",
        r"(?:insufficient|not enough|out of|no more|purchase|buy|add) (?:account )?(?:credit|balance|fund)",
        r"exceed(?:ed|s)? (?:your |the )?(?:current |monthly |daily )?quota|insufficient[ _]quota",
        r"quota (?:has been |was |is )?(?:exceeded|exhausted)|(?:invalid|incorrect|expired|revoked) api[ _-]?key",
        r"api[ _-]?key (?:is |was |has |has been )?(?:not valid|invalid|expired|disabled|revoked|deleted|suspended)",
        r"free tier .{0,60}(?:exhausted|exceeded)|invalid (?:bearer|access|authentication) token",
        r"(?:organization|account|project|workspace) (?:has been|is) (?:disabled|suspended|deactivated|archived)",
    ),
    _subject(
        Cause.UNAVAILABLE,
        (400, 403, 422),
        "overloaded overloaded_error model_overloaded engine_overloaded_error",
        r"(?:model|server|service|engine) is (?:currently |temporarily )?(?:overloaded|unavailable|busy)",
    ),
    _subject(
        Cause.UNSUITED,
        (400, 415, 422),
        "model_not_found unsupported_parameter unsupported_value unsupported_model model_not_available "
        "unsupported_feature model_not_supported unsupported_content_type model_deprecated not_supported_error",
        r"(?:does not|doesn't|do not|don't|cannot|can't) (?:currently )?(?:support|accept|process|handle) ",
        r"not (?:currently |yet )?(?:supported|available|enabled|permitted) (?:by|with|on|in|for|when|using) ",
        r"not supported|unsupported|only (?:supported|available) (?:by|with|on|in|for) |not a multimodal model",
        r"model .{0,100}(?:does not exist|not found|is deprecated|has been (?:deprecated|retired|removed))",
        r"at most 0 \w+|tool choice requires|invalid model (?:id|name)\b",
        r"extra inputs are not permitted|(?:unknown|unrecognized|unexpected) (?:request )?(?:parameter|argument|field)",
        r"no endpoints found|support for (?:image|tool|function)",
    ),
)
"""In the order in which they are looked for."""
