"""A backup that could not carry what the main answers is counted and reported while the main still answers."""

from pathlib import Path

import httpx
from contract.llmgateway.harness import Mock, run_gateway, run_mock, wait_until


def test_a_backup_that_could_not_answer_is_reported_before_the_outage(tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    keys.mkdir()
    (keys / "api-key").write_text("a-key")
    with run_mock(tmp_path) as mock:
        providers = [provider(mock, keys, name, kind) for name, kind in (("main", "openai"), ("backup", "anthropic"))]
        with run_gateway(tmp_path / "gateway", {"providers": providers}) as gateway:

            def ask(**fields: object) -> None:
                body = {"model": "auto", "messages": [{"role": "user", "content": "hello"}], **fields}
                answer = httpx.post(f"{gateway.url}/v1/chat/completions", json=body, timeout=60)
                assert answer.status_code == 200, answer.text
                assert answer.headers["x-agentberth-provider"] == "main"

            def rehearsed(times: int, *, carried: bool) -> bool:
                ask(**({} if carried else {"logit_bias": {"1": 2}}))
                main, backup = gateway.report().providers
                assert (main.rehearsed, main.not_carried) == (0, 0)
                return (backup.rehearsed if carried else backup.not_carried) >= times

            wait_until(lambda: rehearsed(1, carried=True))
            assert gateway.report().providers[1].not_carried == 0
            wait_until(lambda: rehearsed(1, carried=False))
            assert "logit_bias" in gateway.report().providers[1].not_carried_why
            counted = gateway.metrics()
            assert counted['agentberth_llmgateway_not_carried_total{provider="backup"}'] >= 1
            assert mock.counts().get("messages", 0) == 0, "nothing was sent to the backup"


def provider(mock: Mock, keys: Path, name: str, kind: str) -> dict[str, object]:
    return {"name": name, "type": kind, "baseUrl": mock.url, "credentials": str(keys), "model": "m"}
