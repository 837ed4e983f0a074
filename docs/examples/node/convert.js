#!/usr/bin/env node
// Has uploads converted by Lazaret, and prints a line of JSON for each answer.
//
//     AMQP_URL=amqp://acme:password@rabbit/%2F node convert.js acme 2026/11/cat.jpg ...
//
// The keys name files that are in the store `uploads` already. Each job says where its answer shall go: to a queue of this process's own
// that goes with it. Answers to jobs of a process that is gone are for whoever listens to lazaret.results; see ../python/convert.py.
// Rights of the user `acme`: configure ^acme\.  write ^(lazaret\.jobs|acme\..*)$  read ^acme\.

import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import amqp from 'amqplib';

const [tenant, ...keys] = process.argv.slice(2);
if (!tenant || keys.length === 0 || !process.env.AMQP_URL) {
  console.error('usage: AMQP_URL=amqp://… convert.js TENANT KEY…');
  process.exit(2);
}

/** A job, as docs/messages.md has it. Its id is made once: whoever sends it again sends the same job, and it runs once. */
function job(key) {
  return {
    job: randomUUID(),
    tenant,
    source: { store: 'uploads', key },
    renditions: [{ name: 'thumb', format: 'webp', width: 320, height: 320, fit: 'cover' }],
    // Comes back in the result: what you need to find your own record.
    metadata: { row: 7 },
  };
}

class Unroutable extends Error {}

/** Resolves when the broker keeps the job. Mandatory: a job that no queue takes is an error, and not lost in silence. */
function publish(channel, returned, body, replyTo) {
  const options = {
    contentType: 'application/json',
    persistent: true,
    mandatory: true,
    messageId: body.job,
    timestamp: Math.floor(Date.now() / 1000),
    replyTo, // Must not begin with `lazaret.`
    correlationId: body.job,
  };
  return new Promise((resolve, reject) => {
    // interactive: somebody waits for it; bulk: nobody does.
    channel.publish('lazaret.jobs', 'interactive', Buffer.from(JSON.stringify(body)), options, (error) => {
      if (error) reject(error); // The queue is full, or the connection is lost.
      else if (returned.has(body.job)) reject(new Unroutable()); // What is returned is confirmed as well, just after.
      else resolve();
    });
  });
}

/** One connection: sends what is not answered, and listens until it is. */
async function run(unanswered, seen, replyTo) {
  const connection = await amqp.connect(process.env.AMQP_URL, { heartbeat: 30 });
  try {
    await new Promise((resolve, reject) => {
      connection.on('error', reject);
      connection.on('close', () => reject(new Error('the connection is closed')));
      converse(connection, unanswered, seen, replyTo, reject).then(resolve, reject);
    });
  } finally {
    connection.removeAllListeners('close');
    await connection.close().catch(() => {});
  }
}

async function converse(connection, unanswered, seen, replyTo, fail) {
  const channel = await connection.createConfirmChannel();
  channel.on('error', fail);
  const returned = new Set();
  channel.on('return', (message) => returned.add(message.properties.messageId));
  await channel.assertQueue(replyTo, { exclusive: true, autoDelete: true, durable: false });
  const answered = new Promise((resolve) => {
    const take = (message) => {
      if (message === null) return fail(new Error('the queue of answers is gone'));
      const event = JSON.parse(message.content.toString());
      // The same event may come more than once, always with the same id. Where the result is written to a database,
      // write the id in the same transaction, and skip what is there already.
      if (!seen.has(event.id)) {
        seen.add(event.id);
        console.log(JSON.stringify({ id: event.id, ...event.data }));
      }
      unanswered.delete(message.properties.correlationId);
      if (unanswered.size === 0) resolve();
    };
    channel.consume(replyTo, take, { noAck: true }).catch(fail);
  });
  await Promise.all([...unanswered.values()].map((body) => publish(channel, returned, body, replyTo)));
  await answered;
}

const unanswered = new Map(keys.map(job).map((body) => [body.job, body]));
const seen = new Set();
// The same name after a lost connection: a job that waits for its turn is answered where it was told to.
const replyTo = `${tenant}.answers.${randomUUID()}`;
while (unanswered.size > 0) {
  try {
    await run(unanswered, seen, replyTo);
  } catch (error) {
    if (error instanceof Unroutable) {
      console.error('no queue takes jobs: has `lazaret topology apply` been run?');
      process.exit(1);
    }
    console.error(`${error.message}; trying again`);
    await sleep(1000);
  }
}
