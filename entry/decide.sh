#!/bin/sh
# Whether the event is the bot's. Where no fit Python is, the image is asked.
# -P: what is checked out may be a stranger's, so no module is taken from the current folder.
if python3 -I -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
  PYTHONPATH="$GITHUB_ACTION_PATH" PYTHONDONTWRITEBYTECODE=1 exec python3 -P -m skillgrad_ci.bot.gate
fi
echo "go=true" >> "$GITHUB_OUTPUT"
