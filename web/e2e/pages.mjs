// Every page in both themes, both sizes and three languages, with a core of memory:
// axe finds nothing, nothing is cut at 140 % of its length, and what is wide enough
// for a person's eyes is kept as a picture (--keep: in docs/screenshots).
import { createRequire } from 'node:module';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { build, preview } from 'vite';
import { World, assert, out, sizes } from './lib.mjs';

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const keep = process.argv.includes('--keep');
/** Pictures alone, for who wants to see them: nothing is checked. */
const unchecked = process.argv.includes('--unchecked');
const only = process.argv.find((a) => a.startsWith('--only='))?.slice(7);
const shots = keep ? new URL('../../docs/screenshots/', import.meta.url).pathname : out;
const now = new Date('2026-11-22T10:05:00');
const jonas = '#/chats/@jonas.weber';
const group = '#/chats/' + encodeURIComponent('Comité éthique');

/** name, scene, address, and what a person does there first. */
const pages = [
  ['welcome', 'new', '', null],
  ['join', 'new', '#/join', null],
  ['recovery-key', 'new', '#/join', joinTo('key')],
  ['recovery-check', 'new', '#/join', joinTo('check')],
  [
    'link',
    'new',
    '#/link',
    (p) =>
      p
        .locator('input')
        .last()
        .fill('amelie')
        .then(() => p.locator('form .pri').click()),
  ],
  ['recover', 'new', '#/recover', null],
  ['chats', 'world', '#/chats', null],
  ['chat', 'world', jonas, null],
  ['chat-stop', 'alarm', jonas, null],
  ['trust', 'world', jonas + '/info', null],
  ['trust-stop', 'alarm', jonas + '/info', null],
  ['group', 'world', group, null],
  ['group-info', 'world', group + '/info', null],
  ['new-chat', 'world', '#/chats', (p) => p.keyboard.press('Alt+n')],
  ['emoji', 'world', jonas, (p) => p.locator('.comp .box > .ib').last().click()],
  [
    'timer',
    'world',
    jonas,
    (p) =>
      p
        .locator('.head [aria-haspopup=menu]')
        .click()
        .then(() => p.locator('[role=menu] button').nth(2).click()),
  ],
  ['menu', 'world', group, (p) => p.locator('.head [aria-haspopup=menu]').click()],
  ['compare', 'world', jonas + '/info', (p) => p.locator('.panel .acts .btn').first().click()],
  [
    'search',
    'world',
    '#/search',
    (p) =>
      p
        .locator('.side input')
        .fill('klausel')
        .then(() => p.locator('.hit').first().waitFor()),
  ],
  ['people', 'world', '#/people', null],
  ['person', 'world', '#/people/marek', null],
  ['settings', 'world', '#/settings', null],
  ['account', 'world', '#/settings/account', null],
  ['devices', 'world', '#/settings/devices', null],
  ['approve', 'world', '#/settings/devices', approve],
  ['invitations', 'world', '#/settings/invitations', (p) => p.locator('form .pri').click()],
  ['look', 'world', '#/settings/look', null],
  ['notifications', 'world', '#/settings/notifications', null],
  ['keyboard', 'world', '#/settings/keyboard', null],
  ['safety', 'world', '#/settings/safety', null],
  ['takeover', 'takeover', '#/chats', null],
  ['proofs', 'takeover', '#/settings/safety', null],
  ['witnesses', 'takeover', '#/settings/witnesses', null],
  [
    'begin-anew',
    'takeover',
    '#/settings/invitations',
    (p) => p.locator('form select').first().selectOption('reset'),
  ],
  ['empty', 'empty', '#/chats', null],
  ['offline', 'offline', '#/chats', null],
];

function joinTo(step) {
  return async (p) => {
    await p.locator('#invite').fill('https://chat.example/join#abc');
    await p.locator('form .pri').click();
    await p.locator('#handle').fill('amelie');
    await p.locator('form .pri').click();
    await p.locator('ol li').first().waitFor();
    if (step === 'check') await p.locator('.pri').click();
  };
}

async function approve(p) {
  await p.locator('.page .pri').click();
  await p.locator('#link-code').fill('7F3A-91C4-K2QW-8HNB-2VCP-6JYF');
  await p.locator('dialog .pri').click();
  await p.locator('dialog .code').waitFor();
}

/** What is cut, overlaps or reaches beyond its place; elements that end in … on purpose are left out. */
function overflows() {
  const wrong = [];
  if (document.documentElement.scrollWidth > innerWidth) wrong.push('the page is wider than the window');
  const say = (e, what) =>
    wrong.push(
      `${what}: <${e.tagName.toLowerCase()} class="${e.className}"> ${e.textContent.trim().slice(0, 50)}`,
    );
  for (const e of document.querySelectorAll(
    'button, a, label, h1, h2, h3, p, dt, dd, li, .tag, .btn, legend, span',
  )) {
    const style = getComputedStyle(e);
    const box = e.getBoundingClientRect();
    if (
      box.width < 2 ||
      box.height < 2 ||
      style.visibility === 'hidden' ||
      e.closest('.sr, .cut, .cut2, .text, [inert], pre')
    )
      continue;
    if (e.querySelector('.cut, .cut2, pre, input, textarea, select, .av, .sr')) continue;
    if (style.display !== 'inline' && e.scrollWidth > e.clientWidth + 1 && style.overflowX !== 'auto')
      say(e, 'wider than its place');
    if (style.display !== 'inline' && style.overflowY === 'hidden' && e.scrollHeight > e.clientHeight + 1)
      say(e, 'cut below');
    if (box.right > innerWidth + 1 && !e.closest('[popover]')) say(e, 'beyond the right edge');
  }
  return wrong;
}

/** Makes labels 140 % as long, as another language could. */
function stretch() {
  for (const e of document.querySelectorAll(
    'button, a, label, h1, h2, h3, th, dt, legend, .tag, .sec, .name',
  )) {
    for (const n of e.childNodes) {
      const text = n.nodeType === Node.TEXT_NODE ? n.textContent.trim() : '';
      if (!/\p{L}{2}/u.test(text) || e.closest('.bub, .list, .hit, .conv')) continue;
      const more = Math.ceil(text.length * 0.4);
      n.textContent =
        text +
        (text.includes(' ') ? ' ' : '') +
        text
          .replace(/\u00ad/g, '')
          .slice(0, more)
          .toLowerCase();
    }
  }
}

const world = await World.begin();
const root = new URL('..', import.meta.url).pathname;
const options = {
  root,
  configFile: root + 'vite.config.ts',
  logLevel: 'error',
  build: { outDir: out + 'look', emptyOutDir: true },
};
options.build.rollupOptions = { input: { look: root + 'test/look/index.html' } };
await build(options);
const vite = await preview({ ...options, preview: { port: 0, host: '127.0.0.1' } });
const base = `http://127.0.0.1:${vite.httpServer.address().port}/test/look/index.html`;
mkdirSync(shots, { recursive: true });
const findings = [];
let seen = 0;

/** Kept pictures are WebP, which the browser itself can write: a third of the size. */
const darkroom = keep ? await (await world.browser.newContext()).newPage() : null;
async function picture(page, path) {
  const png = await page.screenshot(keep ? {} : { path: `${path}.png` });
  if (!darkroom) return;
  const webp = await darkroom.evaluate(
    async (url) => {
      const image = await createImageBitmap(await (await fetch(url)).blob());
      const canvas = new OffscreenCanvas(image.width, image.height);
      canvas.getContext('2d').drawImage(image, 0, 0);
      const bytes = await (await canvas.convertToBlob({ type: 'image/webp', quality: 0.5 })).arrayBuffer();
      return btoa(Array.from(new Uint8Array(bytes), (b) => String.fromCharCode(b)).join(''));
    },
    `data:image/png;base64,${png.toString('base64')}`,
  );
  writeFileSync(`${path}.webp`, Buffer.from(webp, 'base64'));
}

async function look(context, [name, scene, address, act], size, theme, locale) {
  const page = await context.newPage();
  const where = `${name} ${size} ${theme} ${locale}`;
  page.setDefaultTimeout(15_000);
  page.on('pageerror', (e) => findings.push(`${where}: ${e.message}`));
  try {
    await page.clock.setFixedTime(now);
    await page.goto(`${base}?scene=${scene}${address}`);
    await page.locator('#main').waitFor({ state: 'attached' });
    await page.waitForTimeout(120);
    if (act) await act(page);
    await page.evaluate(() => document.fonts.ready);
    await page.waitForTimeout(200);
    await picture(page, `${shots}${name}-${size}-${theme}-${locale}`);
    if (unchecked) return void seen++;
    for (const o of await page.evaluate(overflows)) findings.push(`${where}: ${o}`);
    await page.evaluate(axe);
    const { violations } = await page.evaluate(() => axe.run(document, { resultTypes: ['violations'] }));
    for (const v of violations)
      findings.push(`${where}: axe ${v.id}: ${v.nodes.map((n) => n.html.slice(0, 120)).join(' | ')}`);
    if (locale === 'en' && theme === 'light') {
      await page.evaluate(stretch);
      await page.waitForTimeout(50);
      for (const o of await page.evaluate(overflows)) findings.push(`${where} at 140 %: ${o}`);
    }
    seen++;
  } catch (e) {
    findings.push(`${where}: ${e.message}`);
  } finally {
    await page.close();
  }
}

// Both sizes, both themes and all languages; --all crosses them.
const looks = process.argv.includes('--all')
  ? ['desktop', 'phone'].flatMap((s) =>
      ['light', 'dark'].flatMap((t) => ['en', 'fr', 'de'].map((l) => [s, t, l])),
    )
  : [
      ['desktop', 'light', 'en'],
      ['desktop', 'dark', 'fr'],
      ['phone', 'light', 'en'],
      ['phone', 'dark', 'de'],
    ];

for (const [size, theme, locale] of looks) {
  const context = await world.browser.newContext({
    viewport: sizes[size],
    colorScheme: theme,
    locale,
    timezoneId: 'Europe/Paris',
    reducedMotion: 'reduce',
    hasTouch: size === 'phone',
  });
  for (const p of pages)
    if (!only || only.split(',').includes(p[0])) await look(context, p, size, theme, locale);
  await context.close();
}
await vite.close?.();
vite.httpServer.close();
await world.end();
console.log(`${seen} pages looked at`);
assert(findings.length === 0, findings.join('\n'));
