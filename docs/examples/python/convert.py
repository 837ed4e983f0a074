#!/usr/bin/env python3
"""Has uploads converted by Lazaret, and prints a line of JSON for every result of a tenant.

    AMQP_URL=amqp://acme:password@rabbit/%2F convert.py acme 2026/11/cat.jpg ...

The keys name files that are in the store `uploads` already; with --put FOLDER they are put there from that folder first. UPLOADS is then the
store's address, with credentials from the environment, both as docs/stores.md has them:

    UPLOADS=s3://acme-uploads/incoming AWS_REGION=eu-central-1 convert.py --put photos acme 2026/11/cat.jpg ...

Results come to a durable queue of the tenant's own, so that none is lost while nobody listens.
Rights of the user `acme`: configure ^acme\\.  write ^(lazaret\\.jobs|acme\\..*)$  read ^(lazaret\\.results|acme\\..*)$
"""

import argparse
import json
import os
import sys
import time
import uuid
from pathlib import Path

import pika
from obstore.store import from_url
from pika.exceptions import AMQPError, NackError, UnroutableError


def put(folder, keys):
    """Puts files into the store. All of them, before anybody is told of one: a job whose upload is missing is rejected."""
    store = from_url(os.environ["UPLOADS"])
    for key in keys:
        store.put(key, Path(folder, key))


def job(tenant, key):
    """A job, as docs/messages.md has it. Its id is made once: whoever sends it again sends the same job, and it runs once."""
    return {
        "job": str(uuid.uuid4()),
        "tenant": tenant,
        "source": {"store": "uploads", "key": key},
        "renditions": [{"name": "thumb", "format": "webp", "width": 320, "height": 320, "fit": "cover"}],
        # Comes back in the result: what you need to find your own record.
        "metadata": {"row": 7},
    }


def publish(channel, body):
    """Returns when the broker keeps the job. Mandatory: a job that no queue takes is an error, and not lost in silence."""
    properties = pika.BasicProperties(
        content_type="application/json",
        delivery_mode=pika.DeliveryMode.Persistent,
        message_id=body["job"],
        timestamp=int(time.time()),
    )
    # interactive: somebody waits for it; bulk: nobody does.
    channel.basic_publish("lazaret.jobs", "interactive", json.dumps(body).encode(), properties, mandatory=True)


def listen(channel, queue, unanswered, seen):
    """Prints results until every job is answered."""
    for method, _, body in channel.consume(queue, inactivity_timeout=1):
        if method is None:
            continue  # A second without a message: pika has answered heartbeats meanwhile.
        event = json.loads(body)
        # The same event may come more than once, always with the same id. Where the result is written to a database,
        # write the id in the same transaction, and skip what is there already.
        if event["id"] not in seen:
            seen.add(event["id"])
            print(json.dumps({"id": event["id"], **event["data"]}), flush=True)
        # After it is safe on this side, and not before.
        channel.basic_ack(method.delivery_tag)
        unanswered.pop(event["subject"], None)
        if not unanswered:
            return


def run(url, tenant, unanswered, seen):
    """One connection: sends what is not answered, and listens."""
    connection = pika.BlockingConnection(pika.URLParameters(url))
    try:
        channel = connection.channel()
        channel.confirm_delivery()
        queue = f"{tenant}.results"
        channel.queue_declare(queue, durable=True, arguments={"x-queue-type": "quorum"})
        channel.queue_bind(queue, "lazaret.results", f"{tenant}.#")
        for body in unanswered.values():
            publish(channel, body)
        listen(channel, queue, unanswered, seen)
    finally:
        if connection.is_open:
            connection.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--put", metavar="FOLDER", help="put the files into the store first, from this folder")
    parser.add_argument("tenant")
    parser.add_argument("keys", nargs="+", metavar="key")
    arguments = parser.parse_args()
    if arguments.put:
        put(arguments.put, arguments.keys)
    jobs = [job(arguments.tenant, key) for key in arguments.keys]
    unanswered = {body["job"]: body for body in jobs}
    seen = set()
    while unanswered:
        try:
            run(os.environ["AMQP_URL"], arguments.tenant, unanswered, seen)
        except UnroutableError:
            sys.exit("no queue takes jobs: has `lazaret topology apply` been run?")
        except NackError:
            print("the queue is full; trying again", file=sys.stderr)
            time.sleep(5)
        except AMQPError as error:
            print(f"{error!r}; trying again", file=sys.stderr)
            time.sleep(1)


if __name__ == "__main__":
    main()
