"""The agent with scripted models: no key, no cost. Run it with: python -m unittest"""

import subprocess
import unittest
from pathlib import Path

HERE = Path(__file__).parent


class ResearchTest(unittest.TestCase):
    """The whole Pod runs, as local processes."""

    def test_it_answers_from_what_the_tool_found(self) -> None:
        command = ["agentberth", "run", "--quiet", "--mock-script", "mock.yaml", "agent.yaml"]
        done = subprocess.run(command, cwd=HERE, capture_output=True, text=True, timeout=300)

        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(done.stdout.strip(), "High water is at six and at half past six.")


if __name__ == "__main__":
    unittest.main()
