// sharp as a web app uses it: RENDITIONS as JSON, a folder for them, uploads. Prints what it took, without its start.
import { createRequire } from 'node:module';
import { readFileSync } from 'node:fs';
import { parse, join } from 'node:path';

const require = createRequire(join(process.env.MODULES, 'none'));
const sharp = require('sharp');
sharp.concurrency(1);
sharp.cache(false);

const [renditions, folder, ...uploads] = process.argv.slice(2);
const wanted = JSON.parse(renditions);

async function convert(path) {
  const upload = readFileSync(path);
  const animated = wanted.some((one) => one.animation === 'keep');
  const source = sharp(upload, { animated });
  for (const one of wanted) {
    await source
      .clone()
      .rotate()
      .resize({ width: one.width, height: one.height, fit: one.fit, withoutEnlargement: true })
      .toFormat(one.format, { quality: one.quality })
      .toFile(join(folder, `${parse(path).name}-${one.name}.${one.format}`));
  }
}

// The first conversion of a process compiles and loads: it is not counted.
await sharp({ create: { width: 8, height: 8, channels: 3, background: 'red' } }).jpeg().toBuffer();
const cpu = process.cpuUsage();
const start = process.hrtime.bigint();
for (const upload of uploads) await convert(upload);
const used = process.cpuUsage(cpu);
console.log(
  JSON.stringify({
    cpu_s: (used.user + used.system) / 1e6,
    wall_s: Number(process.hrtime.bigint() - start) / 1e9,
    peak_bytes: process.resourceUsage().maxRSS * 1024,
  }),
);
