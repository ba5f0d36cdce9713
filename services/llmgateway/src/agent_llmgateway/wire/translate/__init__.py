"""Between dialects, where a route needs it. Each pair is one object with a request, an answer and a stream."""

from collections.abc import Mapping
from time import time
from typing import Final

from agent_llmgateway.wire.answerstream import EventTranslator
from agent_llmgateway.wire.dialects import DialectName
from agent_llmgateway.wire.translate.answers.stream_to_chat import MessageToChatStream
from agent_llmgateway.wire.translate.answers.stream_to_messages import ChatToMessageStream
from agent_llmgateway.wire.translate.answers.stream_to_responses import ChainedStream, ChatToResponseStream
from agent_llmgateway.wire.translate.answers.whole import chat_to_message, chat_to_response, message_to_chat
from agent_llmgateway.wire.translate.base import Target, TranslatedRequest, Translation
from agent_llmgateway.wire.translate.requests.chat_to_messages import chat_to_messages
from agent_llmgateway.wire.translate.requests.messages_to_chat import messages_to_chat
from agent_llmgateway.wire.translate.requests.responses_to_chat import responses_to_chat


class _ChatOverMessages:
    def request(self, body: bytes, target: Target) -> TranslatedRequest:
        return TranslatedRequest(chat_to_messages(body, target), target.dropped)

    def answer(self, body: bytes, target: Target) -> bytes:
        return message_to_chat(body, time, target.model)

    def stream(self, target: Target, *, with_usage: bool) -> EventTranslator:
        return MessageToChatStream(target.model, time, with_usage=with_usage)


class _MessagesOverChat:
    def request(self, body: bytes, target: Target) -> TranslatedRequest:
        return TranslatedRequest(messages_to_chat(body, target), target.dropped)

    def answer(self, body: bytes, target: Target) -> bytes:
        return chat_to_message(body, target.model)

    def stream(self, target: Target, *, with_usage: bool) -> EventTranslator:  # noqa: ARG002 - messages always have it
        return ChatToMessageStream(target.model)


class _ResponsesOverChat:
    def request(self, body: bytes, target: Target) -> TranslatedRequest:
        return TranslatedRequest(responses_to_chat(body, target), target.dropped)

    def answer(self, body: bytes, target: Target) -> bytes:
        return chat_to_response(body, time, target)

    def stream(self, target: Target, *, with_usage: bool) -> EventTranslator:  # noqa: ARG002 - responses always have it
        return ChatToResponseStream(target, time)


class _ResponsesOverMessages:
    """By way of chat completions."""

    def request(self, body: bytes, target: Target) -> TranslatedRequest:
        return TranslatedRequest(chat_to_messages(responses_to_chat(body, target), target), target.dropped)

    def answer(self, body: bytes, target: Target) -> bytes:
        return chat_to_response(message_to_chat(body, time, target.model), time, target)

    def stream(self, target: Target, *, with_usage: bool) -> EventTranslator:  # noqa: ARG002 - responses always have it
        first = MessageToChatStream(target.model, time, with_usage=True)
        return ChainedStream(first, ChatToResponseStream(target, time))


TRANSLATIONS: Final[Mapping[tuple[DialectName, DialectName], Translation]] = {
    ("chat", "messages"): _ChatOverMessages(),
    ("messages", "chat"): _MessagesOverChat(),
    ("responses", "chat"): _ResponsesOverChat(),
    ("responses", "messages"): _ResponsesOverMessages(),
}

__all__ = ["TRANSLATIONS", "Target", "TranslatedRequest", "Translation"]
