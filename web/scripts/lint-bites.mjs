// The planted file breaks each rule of ours once; all of them must be reported.
import { spawnSync } from 'node:child_process';
import { copyFileSync, rmSync } from 'node:fs';

const there = new URL('../src/Planted.svelte', import.meta.url);
copyFileSync(new URL('../test/planted/Lint.svelte', import.meta.url), there);
try {
  const run = spawnSync('npx', ['eslint', '--format', 'json', 'src/Planted.svelte'], {
    cwd: new URL('..', import.meta.url),
    encoding: 'utf8',
  });
  const rules = new Set(JSON.parse(run.stdout).flatMap((f) => f.messages.map((m) => m.ruleId)));
  const wanted = [
    'huis/literal-style',
    'huis/raw-strings',
    'svelte/no-at-html-tags',
    'no-restricted-properties',
  ];
  const missed = wanted.filter((r) => !rules.has(r));
  if (missed.length > 0) {
    console.error(`the lint does not report ${missed.join(', ')}`);
    process.exit(1);
  }
  console.log('the lint reports what was planted');
} finally {
  rmSync(there);
}
