#!/bin/sh
# Puts a release's images in place of those that are built. Usage: pin.sh SLIM LIBREOFFICE
set -eu
cd "$(dirname "$0")"
sed -i "s|^slim=build$|slim=$1|; s|^libreoffice=build$|libreoffice=$2|" images
grep -qxF "slim=$1" images
grep -qxF "libreoffice=$2" images
