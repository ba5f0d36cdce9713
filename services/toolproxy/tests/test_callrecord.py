"""The recorder of tool calls against what an agent may send."""

from agent_base.redaction import Redactor
from agent_toolproxy.call import Call, text_result
from agent_toolproxy.tools.callrecord import CallRecorder, EndedCall

CANARY = "canary-7f3a91c0"


def recorder(*, captures: bool) -> CallRecorder:
    redactor = Redactor()
    redactor.add(CANARY)
    return CallRecorder(redactor, lambda: captures)


def test_halves_of_characters_long_names_and_forged_traces_do_no_harm() -> None:
    kept = recorder(captures=True)
    call = Call(arguments={"a": "\ud800"}, meta={"traceparent": "00-\ud800-x-01"})

    kept.add(EndedCall("\ud800" * 1000, "s", call, "unknown_tool", 0.0, "\udfff"))
    (shown,) = kept.ring.report("tester").calls

    assert shown.model_dump_json()
    assert shown.trace.trace == ""


def test_contents_are_kept_only_when_they_are_asked_for_and_never_a_secret() -> None:
    call = Call(arguments={"key": CANARY})
    ended = EndedCall("t", "s", call, "ok", 0.1, "", text_result(f"the key is {CANARY}"))
    silent, open_one = recorder(captures=False), recorder(captures=True)

    silent.add(ended)
    open_one.add(ended)

    (without,), (with_content,) = silent.ring.report("a").calls, open_one.ring.report("a").calls
    assert (without.input, without.output) == ("", "")
    assert "the key is" in with_content.output
    assert CANARY not in with_content.model_dump_json()


def test_a_secret_that_is_cut_is_masked_as_far_as_it_is_there() -> None:
    redactor, secret = Redactor(), "c4nary-" * 20_000
    redactor.add(secret)
    kept = CallRecorder(redactor, lambda: True)

    kept.add(EndedCall("t", "s", Call(arguments={"a": secret, "b": "x"}), "ok", 0.1))
    kept.add(EndedCall("t", "s", Call(arguments={"a": secret[:-1]}), "ok", 0.1))

    (whole, begun) = kept.ring.report("a").calls
    assert "c4nary" not in whole.input + begun.input


def test_the_ring_keeps_the_last_calls_and_counts_the_others() -> None:
    kept = recorder(captures=False)
    for _ in range(1234):
        kept.add(EndedCall("t", "s", Call(arguments={}), "ok", 0.1))

    report = kept.ring.report("a", after=1230)

    assert [call.number for call in report.calls] == [1231, 1232, 1233, 1234]
    assert report.dropped == 734
