#!/usr/bin/env bash
# Runs the examples of docs/verify.md against a running server, as a service would: Python always, Node and nginx where
# they are installed.
#
#     tests/verify.sh PROGRAM URL DATA_DIR
set -euo pipefail
cd "$(dirname "$0")/.."
program=$1 url=$2
export KEYROLL_DATA_DIR=$3

work=$(mktemp -d /tmp/keyroll-verify-XXXXXX)
pids=()
leave() {
  ((${#pids[@]} == 0)) || kill "${pids[@]}" 2>/dev/null || true
  rm -rf "$work"
}
trap leave EXIT

# The first code block of a language.
block() {
  awk -v start="\`\`\`$1" '$0 == start { inside = 1; next } /^```$/ { if (inside) exit } inside' docs/verify.md
}

# Fails with both if what a program says is not what it should.
expect() {
  local wanted=$1 got
  shift
  got=$("$@")
  [[ $got == "$wanted" ]] || { printf 'docs/verify.md: %s\nanswers %s, not %s\n' "$*" "$got" "$wanted" >&2; exit 1; }
}

field() { sed -n "s/.*\"$1\":\"\([^\"]*\)\".*/\1/p"; }
issue() { "$program" key issue --owner "$1" --grant "$2" --json; }

export KEYROLL_SERVICE_URL=$url
"$program" agent create shop-api --sponsor operator >/dev/null
"$program" mapping create --role keyroll.service --user shop-api --reason 'verifies keys' >/dev/null
KEYROLL_SERVICE_KEY=$(issue shop-api keyroll:keys:verify | field key)
export KEYROLL_SERVICE_KEY
issued=$(issue operator keyroll:users:read)
key=$(field key <<<"$issued") id=$(sed "s/^{\"id\":\"\([^\"]*\)\".*/\1/" <<<"$issued")
may=keyroll:users:read may_not=keyroll:users:write

{ block python; printf 'import sys\nprint(verify(*sys.argv[1:])["code"])\n'; } >"$work/verify.py"
{ block js; printf 'console.log((await verify(...process.argv.slice(2))).code);\n'; } >"$work/verify.mjs"
programs=("python3 $work/verify.py")
if node -e 'process.exit(typeof fetch === "function" ? 0 : 1)' 2>/dev/null; then
  programs+=("node $work/verify.mjs")
else
  echo 'docs/verify.md: no Node with fetch here, so its example was not run'
fi
# Servers that are none: each prints its port, then ends every connection in its way.
none() {
  python3 -u -c 'import socket, sys
server = socket.create_server(("127.0.0.1", 0))
print(server.getsockname()[1])
while True:
    client, _ = server.accept()
    client.recv(65536)
    client.sendall(sys.argv[1].encode())
    client.close()' "$1"
}
mkfifo "$work/port"
urls=()
for says in '' 'hello'; do
  none "$says" >"$work/port" &
  pids+=($!)
  read -r port <"$work/port"
  urls+=("http://127.0.0.1:$port")
done
silent=${urls[0]} babbling=${urls[1]}

for run in "${programs[@]}"; do
  # shellcheck disable=SC2086
  {
    expect VALID $run "$key" "$may"
    expect INSUFFICIENT_PERMISSIONS $run "$key" "$may_not"
    expect NOT_FOUND $run kru_none "$may"
    expect UNAVAILABLE env KEYROLL_SERVICE_URL=http://127.0.0.1:1 $run "$key" "$may"
    # Whoever closes without an answer, and whoever speaks no HTTP.
    expect UNAVAILABLE env KEYROLL_SERVICE_URL="$silent" $run "$key" "$may"
    expect UNAVAILABLE env KEYROLL_SERVICE_URL="$babbling" $run "$key" "$may"
  }
done

# A permission that somebody forgot to give is a no, although the key is good.
printf 'console.log((await verify(process.argv[2], undefined)).valid);\n' | cat <(block js) - >"$work/forgotten.mjs"
[[ ${#programs[@]} == 1 ]] || expect false node "$work/forgotten.mjs" "$key"

door=
if command -v nginx >/dev/null; then
  # What stands behind the door, on ports of our own.
  read -r backend front < <(python3 -c 'import socket
ports = [socket.create_server(("127.0.0.1", 0)) for _ in "12"]
print(*(port.getsockname()[1] for port in ports))')
  mkdir "$work/www" && echo hello >"$work/www/index.html"
  (cd "$work/www" && exec python3 -m http.server "$backend" --bind 127.0.0.1) >/dev/null 2>&1 &
  pids+=($!)
  {
    printf 'daemon off; master_process off; pid %s/nginx.pid; error_log %s/nginx.err;\nevents {}\nhttp { access_log off;\n' "$work" "$work"
    for kind in client_body proxy fastcgi uwsgi scgi; do printf '%s_temp_path %s/%s;\n' "$kind" "$work" "$kind"; done
    block nginx | sed "s#http://127.0.0.1:8080#$url#; s#127.0.0.1:9000#127.0.0.1:$backend#; s#127.0.0.1:8090#127.0.0.1:$front#"
    echo '}'
  } >"$work/nginx.conf"
  nginx -e "$work/nginx.err" -c "$work/nginx.conf" &
  pids+=($!)
  door=http://127.0.0.1:$front/
  for port in "$front" "$backend"; do
    for ((n = 0; n < 100; n++)); do
      (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null && break
      sleep 0.1
    done
  done
  knock() { curl -sS -o /dev/null -w '%{http_code}' "$@" "$door"; }
  expect 200 knock -H "Authorization: Bearer $key"
  expect 401 knock
  expect 401 knock -H 'Authorization: Bearer kru_none'
else
  echo 'docs/verify.md: no nginx here, so its example was not run'
fi

"$program" key revoke "$id" >/dev/null
for run in "${programs[@]}"; do
  # shellcheck disable=SC2086
  expect REVOKED $run "$key" "$may"
done
[[ -z $door ]] || expect 401 knock -H "Authorization: Bearer $key"
echo 'docs/verify.md: its examples answer as it says'
