// A check that finds nothing may be a check that does not run: the planted file's
// two type errors must be reported.
import { spawnSync } from 'node:child_process';
import { copyFileSync, rmSync } from 'node:fs';

const there = new URL('../src/Planted.svelte', import.meta.url);
copyFileSync(new URL('../test/planted/Types.svelte', import.meta.url), there);
try {
  const run = spawnSync('npx', ['svelte-check', '--tsconfig', './tsconfig.json', '--output', 'machine'], {
    cwd: new URL('..', import.meta.url),
    encoding: 'utf8',
  });
  const found = run.stdout.split('\n').filter((l) => l.includes('ERROR') && l.includes('Planted.svelte'));
  if (run.status === 0 || found.length !== 2) {
    console.error(`the type check found ${found.length} of the 2 planted errors\n${run.stdout}${run.stderr}`);
    process.exit(1);
  }
  console.log('the type check finds the planted errors');
} finally {
  rmSync(there);
}
