#!/bin/bash
# demo.sh - the whole job in some seconds, on this machine, with nothing kept:
# a broker and three agents, rows from files to a database, workflows of each
# class, why each went where it went, a pool that is full, one that is paused. `make demo` calls it with
# BIN=build/bin; it asks nothing, exits 0 when all went as told, and removes
# what it made.
set -u
. "$(dirname "$0")/demo_scene.sh"

quietly() {
    "$BIN/dispatchctl" "$@" >"$dir/out" 2>&1 || { cat "$dir/out" >&2; fail "dispatchctl $* failed"; }
}
# Submits and prints the id alone.
submit() {
    "$BIN/dispatchctl" run "$@" | cat
}

# 1,500,000 orders and 4,999 customers, the same every time.
make_shop() {
    mkdir "$dir/shop" || return 1
    awk 'BEGIN {
        split("paid open void", status, " ")
        print "id,customer_id,status,qty,amount,ordered"
        for (i = 1; i <= 1500000; i++)
            printf "%d,%d,%s,%d,%d.%02d,202%d-%02d-%02d\n", i, i * 7919 % 4999 + 1, status[i % 3 + 1], i % 7,
                   i * 31 % 900, i % 100, 5 + int(i / 3) % 2, i % 12 + 1, i % 28 + 1
    }' >"$dir/shop/orders.csv"
    awk 'BEGIN {
        split("Austria,Chile,Denmark,France,Ghana,India,Japan,Peru", country, ",")
        print "id,name,country"
        for (i = 1; i <= 4999; i++)
            printf "%d,\"Customer, %d\",%s\n", i, i, country[i % 8 + 1]
    }' >"$dir/shop/customers.csv"
}

headline 'A broker and three agents, one a pool, start on this machine'
make_shop || exit 1
start_broker --data "$dir/shop"
ctl status || fail 'the broker is not healthy'

headline 'Orders and customers (CSV) to sales by country (SQLite, and a CSV report), live'
ctl run --watch "$DATA/demo-sales-by-country.json" || fail 'sales-by-country did not complete'
printf '%s$ cat sales_by_country.csv%s\n' "$dim" "$plain"
cat "$dir/shop/sales_by_country.csv" || fail 'there is no report'

headline 'Where would these three run, and why? Nothing runs yet'
for document in demo-nightly-report demo-load-shipments neutral-fan-out; do
    ctl plan "$DATA/$document.json" || fail 'plan failed'
done

headline 'The big one, live'
ctl run --watch "$DATA/neutral-fan-out.json" || fail 'fan-out did not complete'

headline 'The other two'
ctl run --wait "$DATA/demo-nightly-report.json" 2>/dev/null || fail 'nightly-report failed'
ctl run --wait "$DATA/demo-load-shipments.json" 2>/dev/null || fail 'load-shipments failed'
id=$("$BIN/dispatchctl" ps --all --limit 1 | awk 'NR == 2 { print $1 }')
ctl logs "$id" || fail 'logs failed'

headline 'Twelve runs for the three slots of etl: seven fall back, two wait'
for _ in $(seq 12); do
    last=$(submit --tag etl "$DATA/demo-slow.json") || fail 'could not submit'
done
ctl pool list
ctl ps --pool high-memory --limit 2
ctl explain "$last" || fail 'explain failed'

headline 'A paused pool accepts, and starts nothing'
quietly watch "$last"
ctl pool pause etl --reason 'index rebuild' --for 10m || fail 'pause failed'
held=$(submit --no-fallback "$DATA/demo-load-shipments.json") || fail 'could not submit'
ctl explain "$held" || fail 'explain failed'
ctl pool resume etl || fail 'resume failed'
quietly watch "$held"

headline 'The whole at a glance'
printf '%s$ worker_monitor --once%s\n' "$dim" "$plain"
"$BIN/worker_monitor" --once || fail 'something needs attention'
lost=$("$BIN/dispatchctl" ps --all --limit 50 -o json | grep -c '"state": "\(FAILED\|CRASHED\|TIMED_OUT\)"')
[ "$lost" = 0 ] || fail "$lost runs did not complete"
clean_up
printf '\nThat was all of it; broker, agents and their files are gone again.\n'
printf '%sTo keep one running: %s/dispatcher --dev --http 127.0.0.1:8080, and then: %s/dispatchctl help%s\n' \
    "$dim" "$BIN" "$BIN" "$plain"
