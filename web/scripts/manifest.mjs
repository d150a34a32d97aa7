// Writes dist/manifest.json: the SHA-256 of every file of the built interface. The
// server adds those of the core. Refuses foreign addresses and too much; with --all
// the core is weighed as well, with --check nothing is written.
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { brotliCompressSync, constants } from 'node:zlib';

const dist = new URL('../dist/', import.meta.url);
const limit = 1_600_000; // bytes of brotli, all files and the core together
const uiLimit = 300_000; // the same without the core
const standards = ['http://www.w3.org/']; // names of standards, never fetched

const packed = new URL('../core/core.wasm.br', import.meta.url); // built by make, not committed
const starter = new URL('../core/wasm_exec.js', import.meta.url);

const names = readdirSync(dist, { recursive: true, withFileTypes: true })
  .filter((f) => f.isFile())
  .map((f) => `${f.parentPath}/${f.name}`.slice(dist.pathname.length).replace(/^\//, ''))
  .filter((n) => n !== 'manifest.json' && n !== '.gitignore')
  .sort();

const files = {};
let total = 0;
let core = 0;
const wrong = [];
for (const name of names) {
  const bytes = readFileSync(new URL(name, dist));
  files[name] = createHash('sha256').update(bytes).digest('hex');
  const small = /\.(woff2|png)$/.test(name) ? bytes.length : brotli(bytes);
  total += small;
  if (!/\.(woff2|png)$/.test(name)) wrong.push(...foreign(name, bytes.toString('utf8')));
  if (/^\/\/# sourceMappingURL/m.test(bytes.toString('latin1'))) wrong.push(`${name} names a source map`);
}

if (existsSync(packed)) core = readFileSync(packed).length + brotli(readFileSync(starter));

function brotli(bytes) {
  return brotliCompressSync(bytes, { params: { [constants.BROTLI_PARAM_QUALITY]: 11 } }).length;
}

function foreign(name, text) {
  return [...text.matchAll(/\bhttps?:\/\/[^\s"'`<>)\\]*/g)]
    .map((m) => m[0])
    .filter((a) => !standards.some((s) => a.startsWith(s)) && !/^https?:\/\/$/.test(a))
    .map((a) => `${name} names ${a}`);
}

if (total > uiLimit) wrong.push(`the interface has ${total} bytes in brotli, at most ${uiLimit} are allowed`);
if (process.argv.includes('--all') && total + core > limit)
  wrong.push(`interface and core have ${total + core} bytes in brotli, at most ${limit}`);
if (!existsSync(new URL('index.html', dist))) wrong.push('there is no index.html');
if (/<script(?![^>]*\bsrc=)|<style|\sstyle=|\son\w+=/.test(readFileSync(new URL('index.html', dist), 'utf8')))
  wrong.push('index.html holds inline code or style');
if (wrong.length > 0) {
  console.error(wrong.join('\n'));
  process.exit(1);
}
const sorted = Object.fromEntries(Object.entries(files).sort(([a], [b]) => (a < b ? -1 : 1)));
if (!process.argv.includes('--check'))
  writeFileSync(new URL('manifest.json', dist), JSON.stringify({ files: sorted }, null, 1) + '\n');
console.log(`${names.length} files, ${total} bytes in brotli${core ? `, core ${core}` : ', core not built'}`);
