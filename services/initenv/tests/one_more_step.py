"""agent-initenv with other tables of steps: those in FOLDER/api and FOLDER/initenv take the place of our own.

python one_more_step.py FOLDER ARGUMENT...
"""

import sys
from pathlib import Path

import agent_api
import agent_initenv

folder = Path(sys.argv.pop(1))
sys.path.insert(0, str(folder))
agent_api.__path__.insert(0, str(folder / "api"))
agent_initenv.__path__.insert(0, str(folder / "initenv"))

from agent_initenv.app import main  # noqa: E402 - it reads the tables when it is imported

sys.exit(main())
