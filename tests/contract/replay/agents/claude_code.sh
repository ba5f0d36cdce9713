#!/bin/sh
# Claude Code, as a script starts it; $1 is its program.
export HOME="$PWD" DISABLE_AUTOUPDATER=1 CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC=1
exec "$1" -p "How warm is it in Zürich? Ask the shell." --model claude-sonnet-4-5 --allowedTools Bash < /dev/null
