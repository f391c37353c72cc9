#!/bin/sh
# Makes the pictures of these pages: a cluster in a temporary data directory, a little load, and a browser without a window.
#   docs/screenshot.sh [PORT]
set -eu
home=$(cd "$(dirname "$0")/.." && pwd)
port=${1:-8095}
bank=http://127.0.0.1:$port
for program in chromium curl; do
  command -v "$program" >/dev/null || { echo "screenshot.sh: $program is missing (Debian has a package of that name)" >&2; exit 1; }
done

folder=$(mktemp -d)
chmod 755 "$folder" # PostgreSQL may run as another user
export BANK_DATA_DIR="$folder/data"
cluster= load=
finish() {
  [ -z "$load" ] || kill "$load" 2>/dev/null || true
  [ -z "$cluster" ] || { kill "$cluster" 2>/dev/null && wait "$cluster" || true; }
  rm -rf "$folder"
}
trap finish EXIT
trap 'exit 130' INT TERM

"$home/bank" cluster --silos 2 --gateways 1 --port "$port" --drain-delay 0 >"$folder/log" 2>&1 &
cluster=$!
until grep -q 'the cluster is open' "$folder/log"; do
  kill -0 "$cluster" || { cat "$folder/log" >&2; exit 1; }
  sleep 1
done

post() { curl -fsS -X POST "$bank/api/v1/accounts$1" -H 'Content-Type: application/json' -d "$2"; }
open() { post '' "{\"owner_name\": \"$1\", \"initial_deposit\": \"1000.00\"}" | sed 's/.*"account_id": *"\([^"]*\)".*/\1/'; }
ada=$(open 'Ada Lovelace')
grace=$(open 'Grace Hopper')
{
  n=0
  while n=$((n + 1)); do
    post "/$ada/deposit" "{\"amount\": \"$((n % 90 + 10)).50\", \"description\": \"Salary\"}"
    post "/$grace/deposit" '{"amount": "12.00", "description": "Lunch"}'
    post "/$ada/withdraw" '{"amount": "7.25", "description": "Coffee"}'
    post "/$grace/transfer" "{\"to_account_id\": \"$ada\", \"amount\": \"3.00\", \"description\": \"Thanks\"}"
  done
} >/dev/null &
load=$!
# The dashboard draws the last hundred seconds, and counts only while somebody looks.
for second in $(seq 70); do
  curl -fsS "$bank/dashboard/DashboardCounters" >"$folder/counters"
  sleep 1
done

shoot() {
  chromium --headless=new --no-sandbox --disable-gpu --disable-dev-shm-usage --no-first-run --no-proxy-server --hide-scrollbars \
    --user-data-dir="$folder/browser" --window-size="$2" --screenshot="$home/docs/$1" $3 2>/dev/null
  echo "docs/$1"
}
shoot dashboard.png 1280,900 "--virtual-time-budget=6000 $bank/dashboard/"
# A feed never ends, so virtual time would not; but a page is not complete before its pictures, and this one takes two seconds to fail.
cat >"$folder/live.html" <<END
<body style="margin: 0"><iframe src="$bank/live?account=$ada" style="border: 0; width: 100%; height: 100%"></iframe>
<img src="$bank/api/v1/accounts?min_position=1000000000" hidden>
END
shoot live.png 800,600 "file://$folder/live.html"
