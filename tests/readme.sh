#!/usr/bin/env bash
# Runs the story of the README twice, as a reader would paste it, and compares each answer with the comment behind its
# line. No key of it works afterwards.
#
#     tests/readme.sh PROGRAM URL DATA_DIR
set -euo pipefail
cd "$(dirname "$0")/.."
program=$1 url=$2 data=$3

# The story is the block that verifies a key.
story=$(awk '/^```sh$/ { block = ""; inside = 1; next }
             /^```$/ { if (inside && block ~ /verify/) printf "%s", block; inside = 0 }
             inside { block = block $0 "\n" }' README.md)
wanted=$(sed -n 's/^verify .*# \([A-Z_]*\).*/\1/p' <<<"$story")
if [[ -z $wanted ]]; then
  echo 'README.md: no story that verifies a key' >&2
  exit 1
fi

active_keys() { KEYROLL_DATA_DIR=$data "$program" key list --status active; }

keys=$(active_keys)
# A reader may paste it twice.
for paste in first second; do
  got=$(KEYROLL_PUBLIC_URL=$url KEYROLL_DATA_DIR=$data \
    bash -euo pipefail -c "${story//target\/release\/keyroll/"$program"}" </dev/null)
  # What the story prints beside the codes is for people.
  codes=$(grep -x '[A-Z_]*' <<<"$got" || true)
  if [[ $codes != "$wanted" ]]; then
    printf 'README.md: the %s paste of the story answers\n%s\nwhere it promises\n%s\n' "$paste" "$got" "$wanted" >&2
    exit 1
  fi
done
if [[ $(active_keys) != "$keys" ]]; then
  echo 'README.md: the story leaves keys behind' >&2
  exit 1
fi
printf '%s\n' "$got"
