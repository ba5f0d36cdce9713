"""Alerts fire when they must and are quiet when they must; each has a runbook, and each runbook an alert."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml
from contract.monitoring.observed import (
    DASHBOARDS,
    ROOT,
    RUNBOOKS,
    alerts,
    built,
    groups_on_page,
    metrics_in,
    names_on_page,
    promtool,
    queries,
    write_rules,
)

from agent_api.metrics import METRIC_GROUPS, kept_metrics
from agent_api.problems import examine
from agent_render import PlatformSettings, render

pytestmark = pytest.mark.step5

CASES = Path(__file__).with_name("alerts.yaml")


def test_rules_do_what_their_cases_say(tmp_path: Path) -> None:
    promtool("check", "rules", write_rules(tmp_path), folder=tmp_path)
    shutil.copy(CASES, tmp_path)

    assert "SUCCESS" in promtool("test", "rules", CASES.name, folder=tmp_path)


def test_a_rule_that_never_fires_is_noticed(tmp_path: Path) -> None:
    rules = write_rules(tmp_path)
    rules.write_text(rules.read_text().replace("agentberth_tool_drift", "agentberth_tool_drifts"))
    shutil.copy(CASES, tmp_path)

    with pytest.raises(AssertionError, match="AgentberthToolBlocked"):
        promtool("test", "rules", CASES.name, folder=tmp_path)


def test_each_alert_has_a_case_in_which_it_fires_and_one_in_which_it_does_not() -> None:
    cases = [check for test in yaml.safe_load(CASES.read_text())["tests"] for check in test["alert_rule_test"]]

    assert {case["alertname"] for case in cases if case["exp_alerts"]} == {rule["alert"] for rule in alerts()}
    assert {case["alertname"] for case in cases if not case["exp_alerts"]} == {rule["alert"] for rule in alerts()}


def test_each_alert_has_a_runbook_and_each_runbook_an_alert() -> None:
    linked = {ROOT / rule["annotations"]["runbook"] for rule in alerts()}

    assert linked == {page for page in RUNBOOKS.glob("*.md") if page.name != "README.md"}
    for rule in alerts():
        page = (RUNBOOKS / f"{rule['alert']}.md").read_text()
        assert page.startswith(f"# {rule['alert']}\n")
        for section in ("## What it means", "## How to check", "## What to do"):
            assert page.count(section) == 1
        assert f"[{rule['alert']}]({rule['alert']}.md)" in (RUNBOOKS / "README.md").read_text()


@pytest.mark.parametrize("file", DASHBOARDS, ids=lambda file: file.stem)
def test_every_query_of_a_dashboard_is_promql(file: Path, tmp_path: Path) -> None:
    recorded = [{"record": f"panel:{at}", "expr": expr} for at, expr in enumerate(queries(file))]
    assert recorded
    rules = tmp_path / "rules.yaml"
    rules.write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": recorded}]}))

    promtool("check", "rules", rules, folder=tmp_path)
    document = json.loads(file.read_text())
    assert len({panel["id"] for panel in document["panels"]}) == len(document["panels"])
    assert document["uid"].startswith("agentberth-")


@pytest.mark.timeout(300)  # the first one builds the program
def test_grafanas_own_schema_takes_every_dashboard() -> None:
    assert judged(*DASHBOARDS) == ""


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    "sound, faulty, said",
    [
        ('"showLegend": true', '"showLegend": "yes"', "options.legend.showLegend"),
        ('"refId": "A"', '"refid": "A"', "unexpected field 'refid'"),
    ],
)
def test_a_dashboard_with_a_fault_is_refused(sound: str, faulty: str, said: str, tmp_path: Path) -> None:
    file = tmp_path / "dashboard.json"
    file.write_text(DASHBOARDS[0].read_text().replace(sound, faulty))

    assert said in judged(file)


def judged(*dashboards: Path) -> str:
    """What Grafana's schema has against them."""
    done = subprocess.run([built("dashboards"), *dashboards], capture_output=True, text=True, check=False)
    assert (done.returncode != 0) == bool(done.stderr)
    return done.stderr


def test_what_alerts_and_dashboards_name_is_on_the_page_of_metrics() -> None:
    shown = {name for file in DASHBOARDS for expr in queries(file) for name in metrics_in(expr)}
    alerted = {name for rule in alerts() for name in metrics_in(rule["expr"])}
    suffixes = ("_bucket", "_sum", "_count")
    base = {next((name.removesuffix(end) for end in suffixes if name.endswith(end)), name) for name in shown | alerted}

    assert base <= names_on_page() | {"up"}


def test_the_page_has_every_group_of_metrics() -> None:
    assert groups_on_page() == list(METRIC_GROUPS)


def test_no_wish_of_an_agent_silences_an_alert() -> None:
    kept = re.compile("|".join(kept_metrics(["cpu_usage"])))
    of_agents = {
        name
        for rule in alerts()
        for name in metrics_in(rule["expr"])
        if name.startswith(("agentberth_llm", "agentberth_tool", "agentberth_memory"))
    }
    assert of_agents
    assert [name for name in of_agents if not kept.fullmatch(name)] == []


def test_the_guide_to_scaling_names_a_metric_that_is_collected_and_served() -> None:
    blocks = (ROOT / "docs" / "how-to" / "scale.md").read_text().split("```yaml\n")[1:]
    *_, written, values = (yaml.safe_load(block.partition("```")[0]) for block in blocks)
    verdict = examine(written)
    assert verdict.agent is not None, verdict.problems
    assert verdict.problems == ()
    children = {child["kind"]: child for child in render(verdict.agent, PlatformSettings(pod_monitors=True))}

    (metric,) = children["HorizontalPodAutoscaler"]["spec"]["metrics"]
    name = metric["pods"]["metric"]["name"]
    assert name in names_on_page()
    (rule,) = values["rules"]["custom"]
    assert (metrics_in(rule["seriesQuery"]), rule["name"]["as"]) == ({name}, name)
    keep = children["PodMonitor"]["spec"]["podMetricsEndpoints"][0]["metricRelabelings"][0]["regex"]
    assert re.fullmatch(keep, name)
