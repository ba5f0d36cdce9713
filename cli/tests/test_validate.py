import json
from pathlib import Path

import pytest

from .conftest import Run

MANIFESTS = Path(__file__).parents[2] / "tests" / "manifests"

BOMB = "a0: &a0 [x]\n" + "".join(f"a{n + 1}: &a{n + 1} [{', '.join([f'*a{n}'] * 10)}]\n" for n in range(9))

BAD = """\
# a comment
apiVersion: agents.example.com/v1
kind: AgentType
metadata:
  name: web
spec:
  agent:
    image: nginx:1.27
    ports:
      - name: http
        containerPort: 8801
"""


def test_good_manifests_pass(agentberth: Run) -> None:
    done = agentberth("validate", str(MANIFESTS / "valid"))

    assert done.returncode == 0
    assert done.stdout == ""
    count = len(list((MANIFESTS / "valid").glob("*.yaml")))
    assert done.stderr == f"{count} AgentTypes checked: no errors\n"


def test_a_fault_is_told_with_file_line_and_field(agentberth: Run, tmp_path: Path) -> None:
    (tmp_path / "bad.yaml").write_text(BAD)

    done = agentberth("validate", "bad.yaml")

    assert done.returncode == 1
    assert done.stdout == (
        "bad.yaml:11:9: spec.agent.ports[0].containerPort: "
        "ports 8801, 8802, 9801, 9802 belong to the platform: choose another\n"
    )
    assert done.stderr == "1 AgentType checked: 1 error\n"


def test_a_folder_is_searched_and_every_fault_is_told(agentberth: Run) -> None:
    files = sorted((MANIFESTS / "invalid").glob("*.yaml"))

    done = agentberth("validate", str(MANIFESTS / "invalid"))

    assert done.returncode == 1
    assert [line.split(":")[0] for line in done.stdout.splitlines()] == [str(f) for f in files]


def test_json_of_an_agents_own_is_passed_over_in_a_folder(agentberth: Run, tmp_path: Path) -> None:
    (tmp_path / "all").mkdir()
    (tmp_path / "all/data.json").write_text("not json")
    (tmp_path / "all/agent.json").write_text('{"kind": "AgentType"}')

    done = agentberth("validate", "all")

    assert done.stderr == "1 AgentType checked: 2 errors\n"
    assert "data.json" not in done.stdout


def test_what_a_run_has_left_in_a_folder_is_not_looked_at(agentberth: Run, tmp_path: Path) -> None:
    for name in ("good/.agentberth/x/shared/sdk", "good/agent/node_modules/y"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "package.json").write_text("[]")
    (tmp_path / "good" / "agent.yaml").write_text(BAD.replace("8801", "8080"))

    done = agentberth("validate", "good")

    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr == "1 AgentType checked: no errors\n"


def test_json_output_is_for_scripts(agentberth: Run, tmp_path: Path) -> None:
    (tmp_path / "bad.yaml").write_text(BAD)

    done = agentberth("validate", "--output", "json", "bad.yaml")

    (row,) = json.loads(done.stdout)
    assert (row["file"], row["line"], row["field"]) == ("bad.yaml", 11, "spec.agent.ports[0].containerPort")
    assert done.returncode == 1


@pytest.mark.parametrize(
    "text,message",
    [
        ("a: [", "bad.yaml:1:5: is not YAML"),
        ("a: 1\na: 2\nkind: AgentType\n", "bad.yaml:2:1: a: this key appears twice"),
        ("just text", "bad.yaml:1:1: must be a mapping with apiVersion, kind, metadata and spec"),
        ("\x00", "bad.yaml: is not YAML"),
        ("a: &a [*a]", "bad.yaml:1:4: is not YAML: an alias contains itself"),
        (BOMB, "its aliases stand for more than 100000 values"),
    ],
)
def test_what_is_not_a_manifest_is_told_at_its_place(agentberth: Run, tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "bad.yaml").write_text(text)

    done = agentberth("validate", "bad.yaml")

    assert done.returncode == 1
    assert message in done.stdout
    assert "Traceback" not in done.stderr


def test_one_unreadable_file_does_not_hide_the_faults_of_others(agentberth: Run, tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("a: [")
    (tmp_path / "b.yaml").write_text(BAD)

    done = agentberth("validate", ".")

    assert "a.yaml" in done.stdout
    assert "b.yaml:11:9" in done.stdout


def test_other_kinds_in_the_file_are_passed_over(agentberth: Run, tmp_path: Path) -> None:
    (tmp_path / "mixed.yaml").write_text(
        "kind: ConfigMap\napiVersion: v1\nmetadata: {name: c}\n---\n" + BAD.replace("8801", "80")
    )

    assert agentberth("validate", "mixed.yaml").returncode == 0


@pytest.mark.parametrize(
    "arguments,code,message",
    [
        (("validate", "nothing.yaml"), 1, "nothing.yaml: there is no such file or folder"),
        (("validate",), 2, "the following arguments are required: FILE"),
        (("sail",), 2, "unknown command sail"),
        ((), 2, "the following arguments are required: COMMAND"),
    ],
)
def test_a_wrong_command_line_is_one_clear_error(
    agentberth: Run, arguments: tuple[str, ...], code: int, message: str
) -> None:
    done = agentberth(*arguments)

    assert done.returncode == code
    assert message in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    "arguments,error,cure",
    [
        ("run --bogus", "agentberth run: unknown option --bogus", "agentberth run --help for all options"),
        ("run agent.yaml --moc-llm=yes", "agentberth run: unknown option --moc-llm", "--mock-llm, or agentberth run"),
        ("run agent.yaml -x", "agentberth run: unknown option -x", "agentberth run --help for all options"),
        ("render --setings a.yaml", "agentberth render: unknown option --setings", "--settings, or agentberth render"),
        ("--versoin run --bogus", "agentberth: unknown option --versoin", "--version, or agentberth --help"),
        ("rum agent.yaml", "agentberth: unknown command rum", "run, or agentberth --help for all commands"),
        ("sail --help", "agentberth: unknown command sail", "agentberth --help for all commands"),
        ("", "agentberth: the following arguments are required: COMMAND", "agentberth --help"),
        ("run", "agentberth run: the following arguments are required: FILE", "agentberth run --help"),
        ("run a.yaml --grace=nan", "agentberth run: argument --grace: 'nan' is not a number of seconds such as 30", ""),
        ("run a.yaml --grace -1", "agentberth run: argument --grace: '-1' is not a number of seconds such as 30", ""),
        ("diagnose x y", "agentberth: unrecognized arguments: y", "agentberth --help"),
    ],
)
def test_a_command_line_that_is_not_understood_is_one_line_with_the_cure(
    agentberth: Run, arguments: str, error: str, cure: str
) -> None:
    done = agentberth(*arguments.split())

    assert done.returncode == 2
    named, tried = done.stderr.splitlines()
    assert named == f"error: {error}"
    assert tried.startswith(f"  try: {cure}")


@pytest.mark.parametrize(
    "arguments",
    [
        ("--mock-l", "-q", "none.yaml"),
        ("-q", "none.yaml", "--command", "-c or more", "--grace=.5"),
        ("none.yaml", "--", "--bogus"),
    ],
)
def test_what_only_looks_like_an_unknown_option_is_taken(agentberth: Run, arguments: tuple[str, ...]) -> None:
    done = agentberth("run", *arguments)

    assert done.returncode == 1
    assert "none.yaml: there is no such file" in done.stderr


def test_every_fault_of_the_settings_is_listed_with_its_line(agentberth: Run, tmp_path: Path) -> None:
    (tmp_path / "platform.yaml").write_text("images:\n  initenv: 1\nsharedSize: 1Gi\nsharedSize: 2Gi\nsecurty: x\n")

    done = agentberth("validate", "--settings", "platform.yaml")

    assert done.returncode == 1
    assert done.stdout.splitlines() == [
        "platform.yaml:4:1: sharedSize: this key appears twice: keep one of them",
        'platform.yaml:2:3: images.initenv: must be a string: quote it, as in "3.12"',
        'platform.yaml:5:1: securty: unknown field: did you mean "securityProfile"?',
    ]
    assert done.stderr == "platform.yaml checked: 3 errors\n"


def test_an_agent_is_held_to_the_settings_given(agentberth: Run, tmp_path: Path) -> None:
    egress = "  security: {networkPolicy: {egress: {allowedCIDRs: [10.9.0.0/16]}}}\n"
    (tmp_path / "agent.yaml").write_text(BAD.replace("8801", "8080") + egress)
    (tmp_path / "platform.yaml").write_text("network: {blockedCidrs: [10.0.0.0/8]}\n")

    assert agentberth("validate", "agent.yaml").returncode == 0
    done = agentberth("validate", "--settings", "platform.yaml", "agent.yaml")

    assert done.returncode == 1
    assert "agent.yaml:2:1: security.networkPolicy.egress.allowedCIDRs: 10.9.0.0/16 is within" in done.stdout
    assert done.stderr == "platform.yaml and 1 AgentType checked: 1 error\n"


@pytest.mark.parametrize("command", [(), ("run",), ("validate",), ("render",), ("crd",)])
def test_help_has_examples(agentberth: Run, command: tuple[str, ...]) -> None:
    done = agentberth(*command, "--help")

    assert done.returncode == 0
    assert "examples:" in done.stdout


@pytest.mark.parametrize(
    "text", ["", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n"], ids=["empty", "foreign"]
)
def test_what_has_no_agent_in_it_is_not_called_right(agentberth: Run, tmp_path: Path, text: str) -> None:
    (tmp_path / "other.yaml").write_text(text)

    done = agentberth("validate", "other.yaml")

    assert done.returncode == 1
    assert "other.yaml: there is no AgentType to check" in done.stdout
    assert done.stderr == "0 AgentTypes checked: 1 error\n"


def test_a_profile_of_the_platforms_own_is_known_by_its_settings(agentberth: Run, tmp_path: Path) -> None:
    (tmp_path / "agent.yaml").write_text(BAD.replace("8801", "8080") + "  resources: {profile: huge}\n")
    (tmp_path / "own.yaml").write_text('profiles: {huge: {agent: {cpu: "4", memory: 1Gi, memoryLimit: 1Gi}}}\n')
    (tmp_path / "other.yaml").write_text("securityProfile: baseline\n")

    without = agentberth("validate", "agent.yaml")
    own = agentberth("validate", "--settings", "own.yaml", "agent.yaml")
    other = agentberth("validate", "--settings", "other.yaml", "agent.yaml")

    assert without.returncode == 0
    assert "warning: spec.resources.profile: huge is not a profile that is built in" in without.stdout
    assert (own.returncode, own.stdout) == (0, "")
    assert other.returncode == 1
    assert "the platform has no profile huge; it has large, medium, small" in other.stdout


def test_a_budget_of_money_without_a_built_in_price_is_seen_without_settings(agentberth: Run, tmp_path: Path) -> None:
    llm = (
        "  llm:\n    budget: {usdPerDay: 1}\n    providers:\n"
        "      - {name: main, type: openai, credentialsSecret: s, config: {model: %s}}\n"
    )
    for name in ("house-model", "gpt-5"):
        (tmp_path / f"{name}.yaml").write_text(BAD.replace("8801", "8080") + llm % name)
    (tmp_path / "own.yaml").write_text("prices: {house-model: {inputUsd: 1, outputUsd: 2}}\n")

    without = agentberth("validate", "house-model.yaml")
    listed = agentberth("validate", "gpt-5.yaml")
    own = agentberth("validate", "--settings", "own.yaml", "house-model.yaml")

    assert without.returncode == 0
    assert "warning: spec.llm.budget: NoPrice: no price is built in for main/house-model" in without.stdout
    assert (listed.returncode, listed.stdout) == (0, "")
    assert (own.returncode, own.stdout) == (0, "")
