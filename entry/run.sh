#!/bin/sh
# Runs the action's image. Files go in and out by docker cp, so that nothing depends on which paths the runner and the
# Docker daemon have in common; the image's own sandbox works the same way.
set -eu
here=$GITHUB_ACTION_PATH
folder=${INPUT_RUN_FOLDER:-skillgrad-run}
case /$folder/ in # it is written on this machine at the end, where nothing but the workspace is the job's to fill
  //* | */../*) echo "::error::input run_folder: not a folder inside the workspace; give one like skillgrad-run"; exit 2 ;;
esac
folder=$GITHUB_WORKSPACE/$folder
image=$(awk -F= '$1 == ENVIRON["IMAGE"] { print $2 }' "$here/entry/images")
if [ "$image" = build ]; then
  with=0; [ "$IMAGE" = slim ] || with=1
  image=$(docker build --quiet --build-arg "WITH_LIBREOFFICE=$with" "$here")
fi
image=${image:-$IMAGE}

# The names of the variables that the image gets: all but what describes this machine. Values go by the environment.
set --
for name in $(awk 'BEGIN { for (name in ENVIRON) print name }'); do
  case $name in
    *[!A-Za-z0-9_]* | [0-9]* | PATH | HOME | PWD | OLDPWD | SHLVL | _ | HOSTNAME | TMPDIR | TEMP | TMP | SHELL | USER | \
    LOGNAME | IMAGE | LD_* | PYTHON* | DOCKER_* | XDG_* | GITHUB_ACTION_PATH | GITHUB_ENV | GITHUB_PATH | GITHUB_STATE | \
    GITHUB_OUTPUT | GITHUB_STEP_SUMMARY | GITHUB_EVENT_PATH | RUNNER_TEMP | RUNNER_TOOL_CACHE | ACTIONS_* ) ;;
    *) set -- "$@" --env "$name" ;;
  esac
done

io=$(mktemp -d)
id=
trap '[ -z "$id" ] || docker rm --force --volumes "$id" > /dev/null; rm -rf "$io"' EXIT
socket=${DOCKER_HOST:-unix:///var/run/docker.sock}
case $socket in unix://*) set -- "$@" --volume "${socket#unix://}:/var/run/docker.sock" ;; esac
cp "$GITHUB_EVENT_PATH" "$io/event.json"
: > "$io/output"; : > "$io/summary"
id=$(docker create "$@" --workdir "$GITHUB_WORKSPACE" --env GITHUB_EVENT_PATH=/io/event.json \
  --env GITHUB_OUTPUT=/io/output --env GITHUB_STEP_SUMMARY=/io/summary "$image")
docker cp --quiet "$io" "$id:/io" 2> /dev/null || docker cp "$io" "$id:/io"
tar -C / -cf - "${GITHUB_WORKSPACE#/}" | docker cp - "$id:/"

# A cancelled job is told to the program, which keeps what was paid for; then the files are still taken out.
code=0
trap 'docker stop --time 6 "$id" > /dev/null' INT TERM
docker start --attach "$id" & attached=$!
wait "$attached" || code=$?
while kill -0 "$attached" 2> /dev/null; do wait "$attached" || code=$?; done

docker cp "$id:/io/output" - | tar -xOf - >> "$GITHUB_OUTPUT"
docker cp "$id:/io/summary" - | tar -xOf - >> "$GITHUB_STEP_SUMMARY"
if docker cp "$id:$folder" - > "$io/run.tar" 2> /dev/null; then
  mkdir -p "$(dirname "$folder")"
  tar -C "$(dirname "$folder")" -xf "$io/run.tar" --no-same-owner
fi
exit "$code"
