// A second device is linked by its code and sees what was said; a voice note is
// recorded and played; the second device is revoked.
import { World, join_, sizes, steps } from './lib.mjs';

const w = await World.begin();
let failed = null;
const alice = await w.page();
const phone = await w.page({ viewport: sizes.phone, hasTouch: true });
const to = (page, hash) => page.goto(page.url().split('#')[0] + hash);
try {
  const server = await w.server();
  await steps('devices', [
    [
      'alice joins and writes to bob',
      async () => {
        await alice.goto(server.invite);
        await join_(alice, 'alice');
        await to(alice, '#/settings/invitations');
        await alice.getByRole('button', { name: 'Make a link' }).click();
        w.cli('bob', 'join', await alice.locator('p.link').first().innerText(), '--handle', 'bob');
        w.cli('bob', 'send', '@alice', 'said before the phone');
        await to(alice, '#/chats');
        await alice.locator('.conv', { hasText: 'bob' }).click();
        await alice.locator('.bub', { hasText: 'said before the phone' }).waitFor();
      },
    ],
    [
      'she records a voice note and plays it',
      async () => {
        await alice.getByRole('button', { name: 'Record a voice note' }).click();
        await alice.getByText('Recording').waitFor();
        await alice.waitForTimeout(1200);
        await alice.getByRole('button', { name: 'Send the voice note' }).click();
        await alice.locator('.voice').waitFor();
        await alice.getByRole('button', { name: 'Play' }).click();
        await alice.locator('.voice input:enabled').waitFor();
      },
    ],
    [
      'her phone shows a code, she approves it',
      async () => {
        await phone.goto(server.url + '/#/link');
        await phone.getByLabel('Your name').fill('alice');
        await phone.getByRole('button', { name: 'Show a code' }).click();
        const code = await phone.locator('p.code').innerText();
        await to(alice, '#/settings/devices');
        await alice.getByRole('button', { name: 'Add a device' }).click();
        await alice.getByLabel('Code of the new device').fill(code);
        await alice.getByRole('button', { name: 'Next' }).click();
        await alice.getByRole('button', { name: 'Approve' }).click();
        await alice.getByText('The new device is in.').waitFor();
        await phone.locator('.conv', { hasText: 'bob' }).click();
        await phone.locator('.bub', { hasText: 'said before the phone' }).waitFor();
      },
    ],
    [
      'the phone is revoked and says so',
      async () => {
        await alice.getByRole('dialog').getByRole('button', { name: 'Close' }).last().click();
        await alice.getByRole('button', { name: 'Revoke' }).first().click();
        await alice.getByRole('dialog').getByRole('button', { name: 'Revoke' }).click();
        await phone.getByRole('heading', { name: 'This device was revoked' }).waitFor();
      },
    ],
  ]);
} catch (e) {
  failed = e;
  await w.failed('devices', { alice, phone });
} finally {
  await w.end();
}
if (failed) throw failed;
