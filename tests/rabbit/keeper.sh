#!/bin/sh
# Keeps one private RabbitMQ node for a test process: sh keeper.sh FOLDER
#
# Orders come on standard input, one word a line: start, kill. Each is answered with a line. When the input ends, because the test
# process has ended in whatever way, the node and its port mapper are killed and the folder is removed.
folder=$1
server=

kill_server() {
    [ -n "$server" ] || return 0
    kill -s KILL -- "-$server" 2>/dev/null
    wait "$server" 2>/dev/null
    server=
}

# In the foreground, so that it is this script's child; the server finds it and starts none of its own.
epmd -port "$ERL_EPMD_PORT" -address 127.0.0.1 >"$folder/epmd.log" 2>&1 </dev/null &
epmd=$!

while read -r order; do
    case $order in
    start)
        # A process group of its own, so that all of it can be killed. Debian's wrapper in /usr/sbin changes the user, and is not used.
        setsid /usr/lib/rabbitmq/bin/rabbitmq-server >>"$folder/server.log" 2>&1 </dev/null &
        server=$!
        echo started
        ;;
    kill)
        kill_server
        echo killed
        ;;
    esac
done

kill_server
kill "$epmd" 2>/dev/null
wait "$epmd" 2>/dev/null
# What the server has left behind may still be writing.
for _ in 1 2 3 4 5; do
    rm -rf "$folder" 2>/dev/null && break
    sleep 0.2
done
