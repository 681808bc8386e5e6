#!/usr/bin/env bash
# Starts a sandbox and a gateway before it, in plain text and then over TLS (HTTP/2 to LinkedIn), and lets
# streams.py send bodies through, from callers on HTTP/1.1 and on HTTP/2.
# usage: streams.sh LINKGATE [options of streams.py]     (LINKGATE: path of the binary; wants curl and python3)
set -euo pipefail
linkgate=$(realpath "$1")
shift
tools=$(dirname "$(realpath "$0")")
folder=$(mktemp -d)
started=()
ended() {
    for process in "${started[@]}"; do kill "$process" 2>/dev/null || true; done
    wait || true
    rm -rf "$folder"
}
trap ended EXIT
cd "$folder"

# Waits until a file holds a line with this text, and prints the line.
line() {
    for _ in $(seq 100); do
        grep -m1 -- "$2" "$1" 2>/dev/null && return
        sleep 0.1
    done
    cat "$1" >&2
    return 1
}

# Two neighbours below the ephemeral ports: plain and TLS.
port=$(python3 - <<'PY'
import random, socket
while True:
    port = random.randrange(20000, 30000)
    try:
        for near in (port, port + 1):
            socket.socket().bind(("127.0.0.1", near))
    except OSError:
        continue
    print(port)
    break
PY
)
"$linkgate" sandbox --listen "127.0.0.1:$port" --tls >sandbox.out 2>&1 &
started+=($!)
line sandbox.out "^api_url" >/dev/null
line sandbox.out "END CERTIFICATE" >/dev/null
sed -n '/BEGIN CERTIFICATE/,/END CERTIFICATE/p' sandbox.out >ca.pem
awk '/^client_secret/ { print $2 }' sandbox.out >secret
client=$(awk '/^client_id/ { print $2 }' sandbox.out)

for base in "http://127.0.0.1:$port" "https://localhost:$((port + 1))"; do
    rm -rf data
    cat >config.yaml <<YAML
gateway: {listen: '127.0.0.1:0'}
admin: {listen: '127.0.0.1:0'}
linkedin: {api_url: '$base', oauth_url: '$base/oauth/v2', uploads_url: '$base', ca_file: ca.pem}
applications: [{name: default, client_id: '$client', client_secret_file: secret}]
YAML
    curl -sS -d '{"name":"ada"}' "http://127.0.0.1:$port/_sandbox/members" | "$linkgate" members import ada
    key=$("$linkgate" keys create streams --member ada)
    : >gateway.out
    "$linkgate" serve >gateway.out 2>&1 &
    gateway=$!
    started+=("$gateway")
    callers=$(line gateway.out "linkgate is up" | sed 's/.*callers=[^ ]*:\([0-9]*\).*/\1/')
    echo "to LinkedIn at $base"
    python3 "$tools/streams.py" "$callers" "$gateway" "$key" "$@"
    python3 "$tools/streams.py" "$callers" "$gateway" "$key" --http2 "$@"
    kill "$gateway"
    wait "$gateway" || true
done
if curl -sS "http://127.0.0.1:$port/_sandbox/counts" | grep -q '"http2_requests":0,'; then
    echo "FAILED nothing went to LinkedIn over HTTP/2"
    exit 1
fi
