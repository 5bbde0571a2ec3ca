#!/bin/sh
# Make the local image that the real agents are installed on, without a registry: the tests' base with node and
# npm, which npm itself can fetch. Usage: agents-base.sh [TAG [BASE]]. Needs npm and Docker.
set -eu

tag="${1:-skillgrad-agents-base:test}"
base="${2:-skillgrad-base:test}"
docker image inspect "$tag" >/dev/null 2>&1 && exit 0

build=$(mktemp -d)
trap 'rm -rf "$build"' EXIT
npm install --silent --no-fund --no-audit --prefix "$build" node@22.23.3 npm@10.9.2 >&2
cat >"$build/Dockerfile" <<EOF
FROM $base
COPY node_modules /opt/node_modules
RUN cd /usr/local/bin && ln -s /opt/node_modules/node/bin/node node \\
    && ln -s /opt/node_modules/npm/bin/npm-cli.js npm && ln -s /opt/node_modules/npm/bin/npx-cli.js npx
ENV NPM_CONFIG_PREFIX=/usr/local NPM_CONFIG_FUND=false NPM_CONFIG_AUDIT=false
ENV NODE_EXTRA_CA_CERTS=/etc/ssl/certs/ca-certificates.crt
EOF
DOCKER_BUILDKIT=0 docker build --quiet --tag "$tag" "$build" >/dev/null
