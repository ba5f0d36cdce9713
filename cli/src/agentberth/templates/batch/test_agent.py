"""The agent with scripted models: no key, no cost. Run it with: python -m unittest"""

import shutil
import subprocess
import unittest
from pathlib import Path

HERE = Path(__file__).parent


class BatchTest(unittest.TestCase):
    """The whole Pod runs, as local processes."""

    def test_every_letter_is_on_its_pile(self) -> None:
        shutil.rmtree(HERE / ".agentberth" / "my-agent" / "workspace", ignore_errors=True)
        command = ["agentberth", "run", "--quiet", "--mock-script", "mock.yaml", "agent.yaml"]
        done = subprocess.run(command, cwd=HERE, capture_output=True, text=True, timeout=300)

        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(
            sorted(line.split(":")[0] for line in done.stdout.splitlines()), ["bills", "repairs", "thanks"]
        )


if __name__ == "__main__":
    unittest.main()
