// What keeps a browser to the build it first saw: an operator who gives one person
// another one, changed files, or another service worker; and the server that is
// really brought to a new version, is interrupted while that is fetched, and goes
// back to the old one. The attack is B-11 of THREATMODEL.md.
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { World, assert, huis, join_, out, steps } from './lib.mjs';
import { Liar, forged } from './liar.mjs';

const world = await World.begin();
const root = new URL('../..', import.meta.url).pathname;
const evilLine = '\nwindow.owned = (window.owned ?? 0) + 1;\n';
const unlogged = 'its public log does not hold';
const sentenceOfGuard = 'replaced the part of this app';
let server, liar, ada, bob, pin, evil;

const person = (name) => world.page({ userAgent: name });
const of = (who, path) => liar.asked.filter((a) => a.who === who && a.path.startsWith(path)).length;
const owned = (page) => page.evaluate(() => window.owned);
const build = (page) => page.evaluate(() => document.documentElement.dataset.build ?? 'old');
const pinned = (page) =>
  page.evaluate(async () => (await (await caches.open('huis-pin')).match('/now'))?.text());
const chats = (page) => page.getByRole('heading', { name: 'Chats', level: 1 });

/** Waits until the service worker has all files and serves this page. */
async function guarded(page) {
  await page.evaluate(async () => {
    await navigator.serviceWorker.ready;
    while (!navigator.serviceWorker.controller) await new Promise((done) => setTimeout(done, 50));
  });
  const sum = await pinned(page);
  assert(/^[0-9a-f]{64}$/.test(sum ?? ''), `nothing is pinned: ${sum}`);
  return sum;
}

/** Opens the page anew and waits until the core has answered there. */
async function anew(page) {
  await page.goto('about:blank');
  await page.goto(liar.origin + '/#/chats');
  await chats(page).waitFor();
}

/** The application does what it is for. */
async function works(page, word) {
  await page.goto(liar.origin + '/#/chats');
  await page.getByRole('link', { name: 'notes' }).first().click();
  await page.locator('#composer').fill(word);
  await page.keyboard.press('Enter');
  const m = page.locator('article', { hasText: word }).first();
  await m.waitFor();
  await m.getByLabel('Waiting to be sent').waitFor({ state: 'detached' });
  await page.goto(liar.origin + '/#/chats');
}

/** The program with one line more in its interface: another version. */
function newer() {
  const app = join(root, 'web/dist/app.js');
  const changed = join(world.dir, 'app.js');
  writeFileSync(changed, readFileSync(app, 'utf8') + "\ndocument.documentElement.dataset.build = 'new';\n");
  const overlay = join(world.dir, 'overlay.json');
  writeFileSync(overlay, JSON.stringify({ Replace: { [app]: changed } }));
  const program = join(world.dir, 'huis-newer');
  execFileSync(
    'go',
    ['build', '-overlay', overlay, '-trimpath', '-buildvcs=false', '-o', program, './cmd/huis'],
    {
      cwd: root,
      env: { ...process.env, CGO_ENABLED: '0' },
    },
  );
  return program;
}

async function restart(program) {
  await world.killServer();
  world.program = program;
  await world.server();
}

try {
  await steps('the build a browser keeps to', [
    [
      'two people join; each browser keeps the build',
      async () => {
        server = await world.server();
        liar = await Liar.begin(server.url, join(world.dir, 'data'));
        ada = await person('ada');
        await ada.goto(liar.here(server.invite));
        await join_(ada, 'ada');
        pin = await guarded(ada);
        await ada.goto(liar.origin + '/#/settings/invitations');
        await ada.getByRole('button', { name: 'Make a link' }).click();
        bob = await person('bob');
        await bob.goto(liar.here((await ada.locator('.link').first().innerText()).trim()));
        await join_(bob, 'bob');
        assert((await guarded(bob)) === pin, 'the two have different builds');
        for (const page of [ada, bob]) {
          await page.goto(liar.origin + '/#/chats');
          await page.getByRole('button', { name: 'New chat' }).first().click();
          await page.getByRole('dialog').getByLabel('Group name').fill('notes');
          await page.getByRole('dialog').getByRole('button', { name: 'Make the group' }).click();
          await page.locator('#composer').waitFor();
        }
      },
    ],
    [
      'B-11: one person is given a build the log does not hold: it is refused, the old one goes on',
      async () => {
        evil = await forged(liar, { 'app.js': (s) => s + evilLine });
        liar.lie = (who, path) => (who === 'ada' ? evil.answer(path) : null);
        await anew(ada);
        await ada.getByText(unlogged).waitFor();
        assert((await owned(ada)) === undefined, 'the forged build ran');
        assert(of('ada', evil.base) === 0, 'something of the forged build was fetched');
        assert((await pinned(ada)) === pin, 'another build is pinned');
        await works(ada, 'still mine');
        await anew(bob);
        assert((await bob.getByText(unlogged).count()) === 0, 'the other person is told so, too');
      },
    ],
    [
      'the control: without a build to keep to, which is the first visit, the same lie runs',
      async () => {
        liar.lie = (_, path) => evil.answer(path);
        const eve = await person('eve');
        await eve.goto(liar.origin + '/');
        await eve.waitForFunction(() => window.owned > 0);
        await eve.context().close();
      },
    ],
    [
      'B-11: files of the kept build with other bytes are not even asked for',
      async () => {
        const { base } = JSON.parse((await liar.honest('/config.json')).body);
        liar.lie = async (who, path) => {
          if (who !== 'ada' || !(path === '/' || path.startsWith(base))) return null;
          const real = await liar.honest(path);
          return { headers: { 'content-type': real.headers['content-type'] }, body: evilLine };
        };
        const before = of('ada', base);
        await anew(ada);
        assert(of('ada', base) === before, 'files were fetched again');
        assert((await owned(ada)) === undefined, 'changed files ran');
        await works(ada, 'and still');
      },
    ],
    [
      'B-11: another service worker under the kept build is an alarm in the open page',
      async () => {
        const real = (await liar.honest('/sw.js')).body.toString();
        liar.lie = (_, path) =>
          path === '/sw.js' // asked for by the browser itself, under its own name
            ? { headers: { 'content-type': 'text/javascript' }, body: real + '\nself.owned = 1;\n' }
            : null;
        await anew(ada);
        await ada.evaluate(async () => (await navigator.serviceWorker.ready).update());
        await ada.getByText(sentenceOfGuard).waitFor();
        liar.lie = () => null;
      },
    ],
    [
      'the server is brought to a new version; one file fails: nothing changes, nothing breaks',
      async () => {
        await restart(newer());
        const mark = liar.asked.length;
        liar.lie = (who, path) => (path.endsWith('/fr.js') ? { status: 503, headers: {}, body: '' } : null);
        await anew(bob);
        while (!liar.asked.slice(mark).some((a) => a.path.endsWith('/fr.js'))) await bob.waitForTimeout(50);
        await bob.evaluate(() => navigator.locks.request('huis-take', () => undefined));
        assert(
          (await bob.getByRole('button', { name: 'Reload' }).count()) === 0,
          'half a version is offered',
        );
        assert((await pinned(bob)) === pin && (await build(bob)) === 'old', 'half a version is taken');
        assert((await bob.evaluate(async () => (await caches.keys()).length)) === 2, 'half a version stays');
        await works(bob, 'not yet');
      },
    ],
    [
      'it is fetched whole, found in the log, and turned to when the person says so',
      async () => {
        liar.lie = () => null;
        await anew(bob);
        await bob.getByRole('button', { name: 'Reload' }).waitFor();
        assert((await build(bob)) === 'old', 'the new version runs before it was asked for');
        await anew(bob);
        assert((await build(bob)) === 'old', 'opening the page anew turned to it');
        const again = bob.waitForEvent('load');
        await bob.getByRole('button', { name: 'Reload' }).click();
        await again;
        await chats(bob).waitFor();
        assert((await build(bob)) === 'new', 'the old version runs on');
        assert((await pinned(bob)) !== pin, 'the old version is still pinned');
        await works(bob, 'the new one');
      },
    ],
    [
      'without the server it opens, and what was said is there',
      async () => {
        await world.killServer();
        await anew(bob);
        assert((await build(bob)) === 'new', 'another version opens');
        await bob.getByRole('link', { name: 'notes' }).first().click();
        await bob.locator('article', { hasText: 'the new one' }).first().waitFor();
      },
    ],
    [
      'B-11: an older version is refused, though the log holds it',
      async () => {
        world.program = huis;
        await world.server();
        await anew(bob);
        await bob.getByText('an older version').waitFor();
        assert((await build(bob)) === 'new', 'the older version runs');
        await works(bob, 'newer all the same');
      },
    ],
  ]);
} catch (e) {
  for (const [name, page] of Object.entries({ ada, bob })) {
    await page?.screenshot({ path: join(out, `bundle-${name}.png`) }).catch(() => undefined);
    console.error(name, page?.url(), page?.complaints);
  }
  throw e;
} finally {
  liar?.end();
  await world.end();
}
