#!/bin/sh
# Install what system-packages.txt names (or the one package given), where we may; say what is missing where we may not.
set -eu
missing=
while IFS=: read -r package check; do
    case $package in '#'* | '') continue ;; esac
    [ "${1:-$package}" = "$package" ] || continue
    sh -c "$check" >/dev/null 2>&1 || missing="$missing $package"
done <"$(dirname "$0")/system-packages.txt"
[ -z "$missing" ] && exit 0
if command -v apt-get >/dev/null && [ "$(id -u)" = 0 ]; then
    apt-get update -qq
    # shellcheck disable=SC2086
    DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends $missing >/dev/null
else
    echo "These Debian packages are missing: install them with  sudo apt-get install$missing" >&2
    exit 1
fi
