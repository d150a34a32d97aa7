// The document about what was measured: table(figures) is docs/web-benchmarks.md. By
// itself it writes that from figures.json.
import { readFileSync, writeFileSync } from 'node:fs';

const ms = (n) => (n >= 100 ? n.toFixed(0) : n >= 10 ? n.toFixed(1) : n.toFixed(2)) + ' ms';
const s = (n) => (n / 1000).toFixed(2) + ' s';
const mb = (n) => (n / 1e6).toFixed(1) + ' MB';
const times = (a, b) => (a / b).toFixed(1);

/** A row of what was aimed at: met or missed is computed, not written. */
const aim = (what, goal, met, got) =>
  `| ${what} | ${goal} | ${got} | ${met === null ? 'smaller than the aim' : met ? 'met' : '**missed**'} |`;

export function table({ go, processors, ready, talk, note = '' }) {
  const { decrypt, decryptNative, inGroup, join, joinNative, fill, memory, scroll, loop } = talk;
  const most = Math.max(...Object.values(memory));
  const rows = [
    aim(
      'ready, account on this device, again',
      '0.5 s',
      ready.stands.best <= 500,
      `${ms(ready.stands.best)} best, ${ms(ready.stands.ready)} median`,
    ),
    aim(
      'ready, page open before',
      '0.5 s',
      ready.warm.best <= 500,
      `${ms(ready.warm.best)} best, ${ms(ready.warm.ready)} median`,
    ),
    aim(
      'ready, browser and server never used',
      '0.5 s',
      ready.cold.best <= 500,
      `${ms(ready.cold.best)} best, ${ms(ready.cold.ready)} median`,
    ),
    aim(
      'decrypt a message',
      '2 ms median',
      decrypt.computed.median <= 2,
      `${ms(decrypt.computed.median)} median, ${ms(decrypt.computed.p99)} p99`,
    ),
    aim(`join a group of ${talk.people}`, '1.5 s', join.whole <= 1500, s(join.whole)),
    aim(
      `scroll through ${talk.messages} messages`,
      'no frame of 1 s',
      talk.messages < 100_000 ? null : scroll.loading.second + scroll.throwing.second === 0,
      `longest ${ms(Math.max(scroll.loading.longest, scroll.throwing.longest))}, p99 ${ms(scroll.loading.p99)}`,
    ),
    aim(
      'memory of the core',
      '64 MB',
      most > 64e6 ? false : talk.messages < 100_000 ? null : true,
      `${mb(most)} at most`,
    ),
  ];
  const kinds = [
    ['one at a time, group of six', decrypt],
    [`in the group of ${talk.people}`, inGroup],
    [`${talk.messages} to catch up with`, fill],
    ['the same messages as the first row, natively', decryptNative],
  ];
  return `# The web app, measured

Written by \`make bench-web\` (bench/web): a real server, Debian's Chromium, and real
clients as the other people. The core in the browser is the one that is served, with a
meter between it and its store and transport; for *ready* it is that of bin/huis. Nothing here is a test: the figures depend on the machine.

${go}, ${processors} processors. Load average while *ready* was measured ${ready.load.join(' to ')}, for the rest
${talk.load.join(' to ')}: above ${processors}, all times are too long by about as much. Compare with the native
column, which ran between the others.

${note}
## The aims

| what | aim | measured | |
| --- | --- | --- | --- |
${rows.join('\n')}

*Ready* is from opening the address until the core has answered and what it said is
drawn. *Decrypt* is what the core computes from a message's bytes to the records it
writes: the checks of signature, chain and stamp, MLS, franking.

## Messages

| messages | median | p99 | mean | mean, store included | longest stretch |
| --- | --- | --- | --- | --- | --- |
${kinds
  .map(
    ([name, r]) =>
      `| ${name} | ${r.computed ? ms(r.computed.median) : ''} | ${r.computed ? ms(r.computed.p99) : ''} | ${ms(r.meanComputed)} | ${ms(r.meanWhole)} | ${ms(r.longest)} |`,
  )
  .join('\n')}

In the browser a message costs ${times(decrypt.meanComputed, decryptNative.meanComputed)} times what it costs natively. The ${talk.messages} messages came in
${fill.seconds.toFixed(0)} s, which is how fast the server lets five members write; another tab's calls were
answered meanwhile after ${ms(talk.answered.median)} (median), ${ms(talk.answered.p99)} (p99), ${ms(talk.answered.worst)} (worst of ${talk.answered.calls}).

## Joining a group of ${talk.people}

From the inbox's answer to the stored membership, in a full walk: Welcome, the tree of ${talk.people}
leaves and everybody's chain, from the server and verified.

| | whole | computed | store |
| --- | --- | --- | --- |
| browser | ${s(join.whole)} | ${s(join.computed)} | ${s(join.stored)} |
${joinNative ? `| native, in memory | ${s(joinNative.whole)} | ${s(joinNative.computed)} | ${s(joinNative.stored)} |` : '| native | not measured in this run | | |'}

## Scrolling

All of the conversation through the real list from the real store: upwards until the
first message is there, which loads piece after piece, then thrown from end to end.

| | frames | median | p99 | longest | of 1 s or more | longest task |
| --- | --- | --- | --- | --- | --- | --- |
${[
  ['loading', scroll.loading],
  ['throwing', scroll.throwing],
]
  .map(
    ([name, f]) =>
      `| ${name} | ${f.frames} | ${ms(f.median)} | ${ms(f.p99)} | ${ms(f.longest)} | ${f.second} | ${ms(f.longestTask)} |`,
  )
  .join('\n')}

Loading took ${scroll.loading.seconds.toFixed(0)} s. At most ${scroll.throwing.most} rows were in the document; ${scroll.throwing.blank} frames showed nothing.

## Search

Over all ${talk.messages} messages, on the device:

| words | hits shown | took |
| --- | --- | --- |
${talk.search.took.map((t) => `| ${t.text} | ${t.hits} | ${ms(t.ms)} |`).join('\n')}

Other calls were answered meanwhile after ${ms(talk.search.answered.median)} (median), ${ms(talk.search.answered.worst)} (worst).

## Memory

The linear memory of the core, which never shrinks until the page is opened again, as
developer tools see it from outside.

| after | MB |
| --- | --- |
${Object.entries(memory)
  .map(([name, n]) => `| ${name} | ${mb(n)} |`)
  .join('\n')}

In the last loop of ${talk.steady} messages it was, ten times: ${loop.map((l) => mb(l.linear)).join(', ')};
of it live: ${loop.map((l) => mb(l.live)).join(', ')}.
`;
}

if (process.argv[1] === new URL(import.meta.url).pathname) {
  const figures = JSON.parse(readFileSync(new URL('figures.json', import.meta.url)));
  writeFileSync(new URL('../../docs/web-benchmarks.md', import.meta.url), table(figures));
}
