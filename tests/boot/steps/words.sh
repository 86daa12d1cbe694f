# The words in which steps are written. Each step is a line for whoever reads the serial port.

exec > /dev/ttyS1 2>&1

# step WHAT COMMAND…
step() {
    what=$1
    shift
    if seen=$("$@" 2>&1); then
        echo "ok $what"
    else
        echo "FAILS $what"
        printf '%s\n' "$seen" | sed 's/^/  | /'
    fi
}

# Where the kernel asks policies itself, or oomc's service does.
hook() { [ "$HOOK" = no ] || step "$@"; }
stock() { [ "$HOOK" = yes ] || step "$@"; }

# within SECONDS COMMAND…: gives it again each second until it succeeds; shows what it said last.
within() {
    left=$1
    shift
    until said=$("$@" 2>&1); do
        left=$((left - 1))
        if [ "$left" -le 0 ]; then
            printf '%s\n' "$said"
            return 1
        fi
        sleep 1
    done
}

# says WORDS COMMAND…: the command succeeds, and these words are in what it says.
says() {
    words=$1
    shift
    out=$("$@" 2>&1) || { printf '%s\n' "$out"; return 1; }
    printf '%s\n' "$out" | grep -qF -e "$words" || { printf '%s\n' "$out"; return 1; }
}

# is UNIT PROPERTY VALUE
is() {
    value=$(systemctl show --value -p "$2" "$1")
    [ "$value" = "$3" ] || { echo "$2 of $1 is $value"; systemctl status "$1"; return 1; }
}

# entries COUNT MATCH…: so many entries of oomc's service since this boot have these fields.
entries() {
    wanted=$1
    shift
    count=$(journalctl -q -b _SYSTEMD_UNIT=oomc.service "$@" -o cat | wc -l)
    [ "$count" = "$wanted" ] || { echo "$count entries have $*"; journalctl -q -b -u oomc.service -n 30; return 1; }
}

# not COMMAND…
not() {
    ! "$@"
}

# Lets a process in the service grow until it is killed; the largest one stays.
kill_in() {
    keeper=$(systemctl show --value -p MainPID "$1.service")
    systemctl reload "$1.service"
    [ "$(cat "/proc/$keeper/comm")" = keeper ] || return 1
}

# That the kernel has asked a policy.
asked() { dmesg | grep -F "oom bpf handler: $1@"; }

# What the kernel complains of.
warned() { dmesg | grep -E 'WARNING:|BUG:|Oops|refcount|lockup|hung task'; }
