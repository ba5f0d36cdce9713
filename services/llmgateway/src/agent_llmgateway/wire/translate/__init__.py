"""Between dialects, where a route needs it. Each pair is one object with a request, an answer and a stream."""

from collections.abc import Mapping
from time import time
from typing import Any, Final

from agent_llmgateway.wire.answerstream import EventTranslator
from agent_llmgateway.wire.dialects import DialectName
from agent_llmgateway.wire.translate.answers import chat_to_message, chat_to_response, message_to_chat
from agent_llmgateway.wire.translate.base import TranslatedRequest, Translation
from agent_llmgateway.wire.translate.chat_to_messages import chat_to_messages
from agent_llmgateway.wire.translate.messages_to_chat import messages_to_chat
from agent_llmgateway.wire.translate.responses_to_chat import responses_to_chat
from agent_llmgateway.wire.translate.stream_to_chat import MessageToChatStream
from agent_llmgateway.wire.translate.stream_to_messages import ChatToMessageStream
from agent_llmgateway.wire.translate.stream_to_responses import ChainedStream, ChatToResponseStream


class _ChatOverMessages:
    def request(self, body: bytes, model: str, options: Mapping[str, Any]) -> TranslatedRequest:
        return chat_to_messages(body, model, options)

    def answer(self, body: bytes) -> bytes:
        return message_to_chat(body, time)

    def stream(self, model: str, *, with_usage: bool) -> EventTranslator:
        return MessageToChatStream(model, time, with_usage=with_usage)


class _MessagesOverChat:
    def request(self, body: bytes, model: str, options: Mapping[str, Any]) -> TranslatedRequest:
        return messages_to_chat(body, model, options)

    def answer(self, body: bytes) -> bytes:
        return chat_to_message(body)

    def stream(self, model: str, *, with_usage: bool) -> EventTranslator:  # noqa: ARG002 - messages always have it
        return ChatToMessageStream(model)


class _ResponsesOverChat:
    def request(self, body: bytes, model: str, options: Mapping[str, Any]) -> TranslatedRequest:
        return responses_to_chat(body, model, options)

    def answer(self, body: bytes) -> bytes:
        return chat_to_response(body, time)

    def stream(self, model: str, *, with_usage: bool) -> EventTranslator:  # noqa: ARG002 - responses always have it
        return ChatToResponseStream(model, time)


class _ResponsesOverMessages:
    """By way of chat completions."""

    def request(self, body: bytes, model: str, options: Mapping[str, Any]) -> TranslatedRequest:
        first = responses_to_chat(body, model, {**options, "type": "openai"})
        second = chat_to_messages(first.body, model, options)
        return TranslatedRequest(second.body, tuple(dict.fromkeys((*first.dropped, *second.dropped))))

    def answer(self, body: bytes) -> bytes:
        return chat_to_response(message_to_chat(body, time), time)

    def stream(self, model: str, *, with_usage: bool) -> EventTranslator:  # noqa: ARG002 - responses always have it
        first = MessageToChatStream(model, time, with_usage=True)
        return ChainedStream(first, ChatToResponseStream(model, time))


TRANSLATIONS: Final[Mapping[tuple[DialectName, DialectName], Translation]] = {
    ("chat", "messages"): _ChatOverMessages(),
    ("messages", "chat"): _MessagesOverChat(),
    ("responses", "chat"): _ResponsesOverChat(),
    ("responses", "messages"): _ResponsesOverMessages(),
}

__all__ = ["TRANSLATIONS", "TranslatedRequest", "Translation"]
