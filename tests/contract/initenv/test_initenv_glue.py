import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
from contract.initenv.harness import Pod

from agent_api.initreport import InitFault


def plan(pod: Pod, runtime: str, name: str, content: str) -> None:
    pod.plan(
        files=[{"path": f"/shared/{name}", "content": content}],
        glue={"runtime": runtime, "source": f"/shared/{name}"},
    )


def run_agent(program: str, code: str, env: Mapping[str, str]) -> "subprocess.CompletedProcess[str]":
    flag = "-e" if program.endswith("node") else "-c"
    return subprocess.run([program, flag, code], env=env, capture_output=True, text=True, check=False)


def python(pod: Pod, *more: Path) -> "subprocess.CompletedProcess[str]":
    path = ":".join(map(str, [pod.shared / "glue", *more]))
    return run_agent(sys.executable, "print('the agent')", {"PYTHONPATH": path})


def node(pod: Pod) -> "subprocess.CompletedProcess[str]":
    program = shutil.which("node")
    assert program is not None
    env = {"NODE_OPTIONS": f"--require {pod.shared / 'glue/preload.cjs'}"}
    return run_agent(program, "console.log('the agent', global.fromGlue)", env)


def test_python_runs_glue_before_the_agent(pod: Pod) -> None:
    plan(pod, "python", 'in/glue\'s "code".py', "import agentberth_glue\nprint('glue', __name__, __file__)\n")
    pod.run().prepared()
    done = python(pod)
    where = pod.shared / 'in/glue\'s "code".py'
    assert done.stdout.splitlines() == [f"glue agentberth_glue {where}", "the agent"]
    assert done.stderr == ""
    assert pod.run().step("glue") == "unchanged"


def test_the_volume_may_be_mounted_elsewhere(pod: Pod, tmp_path: Path) -> None:
    plan(pod, "python", "glue.py", "print('glue')\n")
    pod.run().prepared()
    pod.shared.rename(tmp_path / "moved")
    pod.shared = tmp_path / "moved"
    assert python(pod).stdout == "glue\nthe agent\n"


def test_a_sitecustomize_of_the_image_is_still_loaded(pod: Pod, tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text("print('the image')\n")
    plan(pod, "python", "glue.py", "print('glue')\n")
    pod.run().prepared()
    assert python(pod, tmp_path).stdout == "the image\nglue\nthe agent\n"


def test_a_sitecustomize_of_the_image_that_fails_is_seen_and_survived(pod: Pod, tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text("1 / 0\n")
    plan(pod, "python", "glue.py", "print('glue')\n")
    pod.run().prepared()
    done = python(pod, tmp_path)
    assert done.stdout == "glue\nthe agent\n"
    assert "ZeroDivisionError" in done.stderr


@pytest.mark.parametrize("content", ["raise RuntimeError('broken glue')\n", "no python!\n", "raise SystemExit(0)\n"])
def test_python_glue_that_fails_stops_the_agent(pod: Pod, content: str) -> None:
    plan(pod, "python", "glue.py", content)
    pod.run().prepared()
    done = python(pod)
    assert (done.returncode, done.stdout) == (1, "")
    assert f"the glue code {pod.shared / 'glue.py'} failed" in done.stderr


@pytest.mark.parametrize("name", ["glue.js", "glue.cjs"])
def test_node_runs_glue_before_the_agent(pod: Pod, name: str) -> None:
    plan(pod, "nodejs", name, "global.fromGlue = 'with glue';\n")
    pod.run().prepared()
    assert node(pod).stdout == "the agent with glue\n"


def test_node_takes_a_module(pod: Pod) -> None:
    plan(pod, "nodejs", "glue.mjs", "globalThis.fromGlue = 'with glue';\nexport {};\n")
    pod.run().prepared()
    assert node(pod).stdout == "the agent with glue\n"


def test_node_glue_that_fails_stops_the_agent(pod: Pod) -> None:
    plan(pod, "nodejs", "glue.js", "throw new Error('broken glue');\n")
    pod.run().prepared()
    done = node(pod)
    assert (done.returncode, done.stdout) == (1, "")
    assert "broken glue" in done.stderr
    assert f"the glue code {pod.shared / 'glue.js'} failed" in done.stderr


def test_glue_from_the_code(pod: Pod) -> None:
    pod.mount("code/hooks/glue.py", "print('glue')\n")
    pod.plan(
        code={"kind": "local", "folder": "/etc/agentberth/code"},
        glue={"runtime": "python", "source": "/shared/code/hooks/glue.py"},
    )
    pod.run().prepared()
    assert python(pod).stdout == "glue\nthe agent\n"


def test_glue_of_the_code_is_found_by_its_place_there(pod: Pod) -> None:
    pod.mount("code/hooks/glue.py", "print('glue of the code')\n")
    code = {"kind": "local", "folder": "/etc/agentberth/code"}
    glue = {"runtime": "python", "source": "/shared/hooks/glue.py"}
    pod.plan(code=code, glue=glue)
    pod.run().prepared()
    assert python(pod).stdout == "glue of the code\nthe agent\n"
    written = {"path": "/shared/hooks/glue.py", "content": "print('glue of the files')\n"}
    pod.plan(files=[written], code=code, glue=glue)
    pod.run().prepared()
    assert python(pod).stdout == "glue of the files\nthe agent\n"


def test_glue_of_the_code_that_is_a_link_out_of_the_volume(pod: Pod, tmp_path: Path) -> None:
    (tmp_path / "glue.py").write_text("")
    setup = [{"name": "link", "command": ["ln", "-s", str(tmp_path / "glue.py"), "glue.py"]}]
    pod.mount("code/main.py", "")
    pod.plan(code={"kind": "local", "folder": "/etc/agentberth/code"}, setup=setup)
    pod.run().prepared()
    pod.plan(
        code={"kind": "local", "folder": "/etc/agentberth/code"},
        glue={"runtime": "python", "source": "/shared/glue.py"},
    )
    pod.run().error(InitFault.PATH_ESCAPES)


def test_a_missing_glue_file(pod: Pod) -> None:
    pod.plan(glue={"runtime": "python", "source": "/shared/glue.py"})
    error = pod.run().error(InitFault.GLUE_MISSING)
    assert error.step == "glue"
    assert "/shared/glue.py" in error.cause
    assert pod.tree() == {}


def test_a_glue_file_that_went_missing(pod: Pod) -> None:
    plan(pod, "python", "glue.py", "")
    pod.run().prepared()
    pod.plan(glue={"runtime": "python", "source": "/shared/glue.py"})
    pod.run().error(InitFault.GLUE_MISSING)


def test_glue_outside_of_the_volume(pod: Pod, tmp_path: Path) -> None:
    pod.plan(glue={"runtime": "python", "source": "/etc/glue.py"})
    pod.run().error(InitFault.PATH_ESCAPES)
    (tmp_path / "glue.py").write_text("")
    (pod.shared / "glue.py").symlink_to(tmp_path / "glue.py")
    pod.plan(glue={"runtime": "python", "source": "/shared/glue.py"})
    pod.run().error(InitFault.PATH_ESCAPES)


def test_another_runtime_replaces_the_loader(pod: Pod) -> None:
    plan(pod, "python", "glue.py", "")
    pod.run().prepared()
    plan(pod, "nodejs", "glue.js", "")
    pod.run().prepared()
    assert [path.name for path in (pod.shared / "glue").iterdir()] == ["preload.cjs"]
