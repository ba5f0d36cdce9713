"""The agent with scripted models: no key, no cost. Run it with: python -m unittest"""

import subprocess
import time
import unittest
import urllib.error
import urllib.request
from pathlib import Path

HERE = Path(__file__).parent
ADDRESS = "http://127.0.0.1:8081"


class NodeTest(unittest.TestCase):
    """The whole Pod runs, as local processes."""

    def setUp(self) -> None:
        command = ["agentberth", "run", "--quiet", "--mock-script", "mock.yaml", "agent.yaml"]
        self.agent = subprocess.Popen(command, cwd=HERE)
        self.addCleanup(self.agent.wait)
        self.addCleanup(self.agent.terminate)

    def test_it_answers_a_question(self) -> None:
        self.await_ready()
        request = urllib.request.Request(f"{ADDRESS}/ask", b"When is high water?")
        with urllib.request.urlopen(request, timeout=30) as response:
            self.assertEqual(response.read().decode(), "High water is at six.")

    def await_ready(self, patience_s: float = 300) -> None:
        deadline = time.monotonic() + patience_s
        while time.monotonic() < deadline and self.agent.poll() is None:
            try:
                with urllib.request.urlopen(f"{ADDRESS}/healthz", timeout=5):
                    return
            except (urllib.error.URLError, OSError):
                time.sleep(0.2)
        self.fail("the agent did not become ready: see its messages above")


if __name__ == "__main__":
    unittest.main()
