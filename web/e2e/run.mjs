// Runs the files of this folder that test something, one after the other: each
// opens browsers of its own. Names choose some of them: node e2e/run.mjs people
import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';

const here = new URL('.', import.meta.url).pathname;
const helpers = [
  'run.mjs',
  'lib.mjs',
  'wire.mjs',
  'bridge.mjs',
  'gotest.mjs',
  'takeover.mjs',
  'liar.mjs',
  'qr.mjs',
];
const wanted = process.argv.slice(2);
const files = readdirSync(here).filter((f) => f.endsWith('.mjs') && !helpers.includes(f));
const chosen = wanted.length > 0 ? files.filter((f) => wanted.includes(f.slice(0, -4))) : files;
if (chosen.length === 0) {
  console.error(
    `nothing is called ${wanted.join(', ')}; there are ${files.map((f) => f.slice(0, -4)).join(', ')}`,
  );
  process.exit(2);
}
const failed = chosen.filter((file) => !passes(file));
process.exit(failed.length > 0 ? 1 : 0);

function passes(file) {
  const begun = performance.now();
  const { status } = spawnSync(process.execPath, [here + file], { stdio: 'inherit', timeout: 600_000 });
  console.log(
    `${status === 0 ? 'ok    ' : 'FAILED'} ${file}, ${((performance.now() - begun) / 1000).toFixed(0)} s`,
  );
  return status === 0;
}
