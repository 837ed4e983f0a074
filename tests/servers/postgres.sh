#!/bin/sh
# Keeps one private PostgreSQL server for a test process: sh postgres.sh FOLDER
#
# Orders come on standard input, one word a line: start, stop, kill, freeze, thaw. Each is answered with a line. When the input ends, because
# the test process has ended in whatever way, the server is killed and the folder is removed. The server refuses to run as root: there it
# runs as nobody, to whom the folder belongs.
folder=$1
server=

# Becomes the server.
as_nobody() {
    if [ "$(id -u)" = 0 ]; then
        exec setpriv --reuid=65534 --regid=65534 --clear-groups "$@"
    else
        exec "$@"
    fi
}

# Its processes are groups of their own.
signal_all() {
    kill -s "$1" "$server" $(ps -o pid= --ppid "$server") 2>/dev/null
}

end_server() {
    [ -n "$server" ] || return 0
    signal_all CONT
    kill -s "$1" "$server" 2>/dev/null
    wait "$server" 2>/dev/null
    server=
}

while read -r order; do
    case $order in
    start)
        as_nobody "$PGBIN/postgres" -D "$folder/data" >>"$folder/server.log" 2>&1 </dev/null &
        server=$!
        echo started
        ;;
    stop) # in order, as a restart by an operator: sessions are ended
        end_server INT
        echo stopped
        ;;
    kill) # as a crash
        end_server QUIT
        echo killed
        ;;
    freeze)
        signal_all STOP
        echo stopped
        ;;
    thaw)
        signal_all CONT
        echo thawed
        ;;
    esac
done

end_server QUIT
for _ in 1 2 3 4 5; do
    rm -rf "$folder" 2>/dev/null && break
    sleep 0.2
done
