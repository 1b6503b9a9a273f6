# demo_scene.sh - what the demos stand on; sourced by them. A temporary directory
# in $dir that goes with the script, headlines, commands shown as one would type
# them, and a broker with its agents.
cd "$(dirname "$0")/.." || exit 1
BIN=${BIN:-build/bin}
DATA=tests/data
export LC_ALL=C.UTF-8
unset DISPATCH_TOKEN

dir=$(mktemp -d "${TMPDIR:-/tmp}/dispatcher-demo.XXXXXX") || exit 1
broker=
bold= dim= plain=
if [ -t 1 ] && [ -z "${NO_COLOR:-}" ] && [ "${TERM:-dumb}" != dumb ]; then
    bold=$'\e[1m' dim=$'\e[2m' plain=$'\e[0m'
fi

clean_up() {
    if [ -n "$broker" ]; then
        kill "$broker" 2>/dev/null
        wait "$broker" 2>/dev/null
        broker=
    fi
    rm -rf "$dir"
}
trap clean_up EXIT
trap 'exit 130' INT TERM HUP

fail() {
    printf '\ndemo: %s\n' "$1" >&2
    [ -s "$dir/log" ] && { echo 'the last the broker said:' >&2; tail -n 8 "$dir/log" >&2; }
    exit 1
}

step=0
headline() {
    step=$((step + 1))
    printf '\n%s%d. %s%s\n' "$bold" "$step" "$1" "$plain"
}

# Shows a command as one would type it, and runs it.
ctl() {
    local word line=dispatchctl
    for word in "$@"; do
        case $word in *' '*) word="'$word'" ;; esac
        line="$line $word"
    done
    printf '%s$ %s%s\n' "$dim" "$line" "$plain"
    "$BIN/dispatchctl" "$@"
}

# A broker with an agent for each pool; the arguments are the dispatcher's.
start_broker() {
    mkfifo "$dir/ready" || exit 1
    exec 3<>"$dir/ready"
    "$BIN/dispatcher" --dev --state "$dir/state" "$@" --http 127.0.0.1:0 \
        --agents tcp://127.0.0.1:0 >"$dir/ready" 2>"$dir/log" 3>&- &
    broker=$!
    local line
    read -r -t 10 line <&3 || fail 'the broker was not ready within 10 s'
    DISPATCH_URL=$(printf '%s\n' "$line" | sed -n 's/.*"http":"\([^"]*\)".*/\1/p')
    export DISPATCH_URL
    for _ in $(seq 100); do # the agents say hello a moment after
        "$BIN/dispatchctl" status >"$dir/out" 2>&1 && break
        sleep 0.05
    done
}
