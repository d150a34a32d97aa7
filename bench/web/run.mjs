// Measures the web app: a real server, Chromium, and the core as people use it. It
// builds what it needs, and writes figures.json and docs/web-benchmarks.md. It takes
// about half an hour; PEOPLE and MESSAGES make it shorter, and then no document is
// written.
//
//	node bench/web/run.mjs [PEOPLE MESSAGES]
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { table } from './table.mjs';

const here = new URL('.', import.meta.url).pathname;
const root = join(here, '../..');
const full = { people: 1000, messages: 100_000 };
const people = Number(process.argv[2] ?? full.people);
const messages = Number(process.argv[3] ?? full.messages);
const dir = mkdtempSync(join(tmpdir(), 'huis-bench-'));

const run = (env, ...args) =>
  JSON.parse(
    execFileSync(process.execPath, args, {
      env: { ...process.env, ...env },
      stdio: ['ignore', 'pipe', 'inherit'],
      maxBuffer: 1 << 26,
    }),
  );

try {
  execFileSync(join(here, 'build'), [dir], { stdio: ['ignore', 'inherit', 'inherit'] });
  const huis = join(dir, 'huis');
  const figures = {
    go: execFileSync('go', ['env', 'GOVERSION']).toString().trim(),
    processors: cpus().length,
    ready: run({ HUIS: join(root, 'bin/huis') }, join(here, 'ready.mjs')),
    talk: run({ HUIS: huis, STAGE: join(dir, 'stage') }, join(here, 'talk.mjs'), people, messages),
  };
  if (people < full.people || messages < full.messages) console.log(table(figures));
  else {
    writeFileSync(join(here, 'figures.json'), JSON.stringify(figures, null, 1) + '\n');
    writeFileSync(
      join(root, 'docs/web-benchmarks.md'),
      table(JSON.parse(readFileSync(join(here, 'figures.json')))),
    );
  }
} finally {
  rmSync(dir, { recursive: true, force: true });
}
