// An S3-compatible server on a free port of HOST, or of loopback: `node server.mjs FOLDER BUCKET…`. Prints its port; ends when its standard
// input does, because the test process has ended in whatever way.
//
// An object whose name begins with the word of a bad day has that day when it is got for the first time, and none after it. A client that tries
// again by itself is given it as often as one try of a worker takes. Beside that, a word on standard input is the weather: what becomes of every
// request from now on. It is answered with the word.
import http from 'node:http';
import readline from 'node:readline';
import S3rver from 's3rver';

const [directory, ...buckets] = process.argv.slice(2);
const s3 = new S3rver({
  directory,
  silent: true,
  vhostBuckets: false,
  configureBuckets: buckets.map((name) => ({ name, configs: [] })),
});
await s3.configureBuckets();
const honest = s3.callback();

const answer = (response, status, code, more = '') => {
  response.writeHead(status, { 'Content-Type': 'application/xml' });
  response.end(`<?xml version="1.0"?><Error><Code>${code}</Code><Message>a bad day</Message>${more}</Error>`);
};
const head = (length) => ({ 'Content-Length': length, ETag: '"x"', 'Last-Modified': new Date(0).toUTCString() });

// What a day does to a request, and to how many.
const DAYS = {
  busy: [4, (_, response) => answer(response, 503, 'SlowDown')],
  expired: [1, (_, response) => answer(response, 403, 'ExpiredToken', '<Token-0>the-session-token</Token-0>')],
  elsewhere: [1, (_, response) => answer(response, 404, 'NoSuchBucket')],
  silent: [1, () => {}],
  slow: [1, (request, response) => {
    response.writeHead(200, head(100_000));
    const drip = setInterval(() => response.write('x'.repeat(100)), 200);
    request.on('close', () => clearInterval(drip));
  }],
  // Its client asks for the rest, and gets all: that is an error.
  cut: [2, (_, response) => {
    response.writeHead(200, head(100_000));
    response.write('x'.repeat(1000), () => response.destroy());
  }],
  // Half of the object, as if that were all.
  mended: [1, (request, response) => {
    const write = response.write.bind(response);
    let left = 1000;
    response.write = (block, ...rest) => {
      const some = block.subarray(0, left);
      left -= some.length;
      const more = write(some, ...rest);
      if (left === 0) response.destroy();
      return more;
    };
    honest(request, response);
  }],
  large: [1, (_, response) => {
    response.writeHead(200, head(1_000_000_000));
    const pour = setInterval(() => response.write(Buffer.alloc(1 << 20)), 1);
    response.on('close', () => clearInterval(pour));
  }],
};
// What the weather does to a request; where nothing of that is an object's bytes, these are honest ones, as far as they come.
const reading = (happens) => (request, response) => {
  if (request.method === 'GET') happens(request, response);
  honest(request, response);
};
const WEATHER = {
  fair: honest,
  busy: DAYS.busy[1],
  expired: DAYS.expired[1],
  // The first bytes, and then nothing.
  slow: reading((_, response) => {
    const write = response.write.bind(response);
    response.write = (block) => {
      write(block.subarray(0, 100));
      response.write = () => false;
      return false;
    };
    response.end = () => response;
  }),
  // Half of what was promised.
  cut: reading((_, response) => {
    const write = response.write.bind(response);
    response.write = (block) => write(block.subarray(0, block.length / 2), () => response.destroy());
  }),
  // More is promised than comes.
  long: reading((_, response) => {
    const set = response.setHeader.bind(response);
    response.setHeader = (name, value) =>
      set(name, name.toLowerCase() === 'content-length' ? String(Number(value) + 1000) : value);
    response.end = (block) => {
      if (block) response.write(block);
      response.socket?.end();
      return response;
    };
  }),
};
let weather = honest;
const seen = new Map();

const server = http.createServer((request, response) => {
  const [, day] = request.url.match(/[/-]([a-z]+)\.[a-z]+$/) ?? [];
  const [times, happens] = (request.method === 'GET' && DAYS[day]) || [0];
  const before = seen.get(request.url) ?? 0;
  if (before >= times) return weather(request, response);
  seen.set(request.url, before + 1);
  return happens(request, response);
});
server.listen(0, process.env.HOST ?? '127.0.0.1', () => console.log(server.address().port));
const orders = readline.createInterface({ input: process.stdin });
orders.on('line', (word) => {
  weather = WEATHER[word];
  console.log(word);
});
orders.on('close', () => process.exit());
