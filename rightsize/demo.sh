#!/usr/bin/env bash
# Right-sizes the examples in data/, and a function that runs on this machine: rightsize/demo.sh PROGRAM FOLDER, from the root of the repository.
set -euo pipefail
rightsize=$1 out=$2
mkdir -p "$out"
rm -f "$out"/{function.json,usage_qrcode.csv,usage_qrcode.csv.journal,stack.yml,stack.yml.bak,run.journal,drive.journal}
say() { printf '\n== %s\n' "$*"; }

say "an example: the limits it should have, and why"
"$rightsize" recommend data/usage_daily.csv.gz -set memory=512Mi,cpu=500m -runtime go

say "the examples: what recommenders of limits would have done"
"$rightsize" backtest data/usage_*.csv.gz -recommender forecast,krr,vpa -picture "$out/backtest.png"

say "pages of the examples, with forecasts and all recommenders"
"$rightsize" report data/usage_daily.csv.gz data/usage_leak.csv.gz -o "$out/examples.html"

say "a function on this machine that draws QR codes, called for 12 s"
"$rightsize" function -listen 127.0.0.1:0 -json >"$out/function.json" &
function=$!
trap 'kill $function 2>/dev/null; wait' EXIT
until grep -q pid "$out/function.json"; do sleep 0.05; done
url=$(sed 's/.*"url":"\([^"]*\)".*/\1/' "$out/function.json")
"$rightsize" drive -url "$url" -calls 600:1200 -for 12s -seed 1 &
driver=$!
"$rightsize" acquire -process $function -function qrcode -step 200ms -for 12s -o "$out/usage_qrcode.csv"
wait $driver

say "its report"
"$rightsize" report "$out/usage_qrcode.csv" -o "$out/qrcode.html"

say "its limits in a stack.yml, from what it uses now; with -act and without -rounds this goes on"
cp rightsize/demo-stack.yml "$out/stack.yml"
"$rightsize" run -function qrcode -process $function -file "$out/stack.yml" -journal "$out/run.journal" \
	-interval 1s -step 200ms -min-history 1s -min-memory 32Mi -act -rounds 6
diff -u rightsize/demo-stack.yml "$out/stack.yml" || true
say "by hand"
"$rightsize" write "$out/stack.yml" -function qrcode -memory 64Mi -cpu 200m -request-memory 48Mi

say "pages: $out/examples.html, $out/qrcode.html"
