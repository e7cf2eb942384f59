#!/usr/bin/env bash
# Builds release archives: both programs, man pages, shell completions, licences.
#
#   scripts/release.sh [--version V] [--output DIR] [OS/ARCH...]
#
#   --version   version that `coordinator --version` prints (default: git describe)
#   --output    directory for the archives and SHA256SUMS (default: dist)
#   OS/ARCH     targets (default: linux and darwin, amd64 and arm64)
#
# The same commit, version and Go release give the same bytes on every machine.
# Needs go and git; outside of a clone give --version, COMMIT and SOURCE_DATE_EPOCH.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
version= output=dist targets=()
while [ $# -gt 0 ]; do
  case $1 in
    --version) version=$2; shift 2 ;;
    --output) output=$2; shift 2 ;;
    */*) targets+=("$1"); shift ;;
    *) sed -n '2,/^set/{/^#/s/^# \{0,1\}//p}' "${BASH_SOURCE[0]}" >&2; exit 1 ;;
  esac
done
[ ${#targets[@]} -gt 0 ] || targets=(linux/amd64 linux/arm64 darwin/amd64 darwin/arm64)
mkdir -p "$output"
output=$(cd "$output" && pwd)
cd "$root"

git() { command git -c safe.directory="$root" "$@"; }
version=${version:-$(git describe --tags --always --dirty)}
COMMIT=${COMMIT:-$(git rev-parse HEAD)$(git diff --quiet HEAD || echo +changes)}
export SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)}

stage=$(mktemp -d)
trap 'rm -rf "$stage"' EXIT
go -C tools/release build -o "$stage/release" .
"$stage/release" docs "$stage/docs"

pkg=gx1replay/internal/cli
for target in "${targets[@]}"; do
  name=gx1-replay_${version}_${target%/*}_${target#*/}
  dir=$stage/$name
  mkdir "$dir"
  # No path, build id or VCS state of this machine goes into the programs.
  GOOS=${target%/*} GOARCH=${target#*/} CGO_ENABLED=0 GOFLAGS= go build -trimpath -buildvcs=false \
    -ldflags "-s -w -buildid= -X $pkg.stampedVersion=$version -X $pkg.stampedCommit=$COMMIT" \
    -o "$dir/" ./cmd/...
  cp -R "$stage/docs/." README.md CHANGELOG.md LICENSE THIRD_PARTY.md "$dir/"
  "$stage/release" pack "$output/$name.tar.gz" "$name" "$dir"
  echo "$output/$name.tar.gz"
done
"$stage/release" sums "$output"
