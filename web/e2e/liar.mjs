// A server's operator who lies to browsers: everything goes through here, with the
// server's own key and certificate, and may be answered otherwise for those who are
// chosen. Who somebody is, is told by the User-Agent.
import { createHash } from 'node:crypto';
import { readFileSync, readdirSync } from 'node:fs';
import { Agent, createServer, request } from 'node:https';
import { join } from 'node:path';
import { connect } from 'node:tls';

export const sha256 = (bytes) => createHash('sha256').update(bytes).digest('hex');

export class Liar {
  asked = []; // { who, path }, in order
  /** @type {(who: string, path: string) => Answer | null | Promise<Answer | null>} */
  lie = () => null;
  #server;
  #sockets = new Set();
  #agent = new Agent({ keepAlive: true, rejectUnauthorized: false });

  /** Stands before the server at url, whose data folder is given. */
  static async begin(url, data) {
    const l = new Liar();
    l.url = new URL(url);
    const tls = join(data, 'tls');
    const pem = readdirSync(tls)
      .map((f) => readFileSync(join(tls, f), 'utf8'))
      .join('\n');
    l.#server = createServer({ key: pem, cert: pem }, (q, a) => void l.#answer(q, a));
    l.#server.on('upgrade', (q, socket, head) => l.#upgrade(q, socket, head));
    l.#server.on('secureConnection', (s) => l.#hold(s));
    await new Promise((done) => l.#server.listen(0, '127.0.0.1', done));
    l.origin = `https://127.0.0.1:${l.#server.address().port}`;
    return l;
  }

  /** The page of an invitation, through here. */
  here(invite) {
    const u = new URL(invite);
    return this.origin + u.pathname + u.hash;
  }

  /** What the server itself gives. */
  honest(path) {
    return new Promise((resolve, reject) => {
      request(new URL(path, this.url), { agent: this.#agent }, (r) => {
        const parts = [];
        r.on('data', (d) => parts.push(d));
        r.on('end', () => resolve({ status: r.statusCode, headers: r.headers, body: Buffer.concat(parts) }));
      })
        .on('error', reject)
        .end();
    });
  }

  async #answer(q, a) {
    const who = q.headers['user-agent'] ?? '';
    const path = q.url.split('?')[0];
    this.asked.push({ who, path });
    const lie = q.method === 'GET' ? await this.lie(who, path) : null;
    if (lie) return void a.writeHead(lie.status ?? 200, lie.headers).end(lie.body);
    const headers = { ...q.headers, host: this.url.host };
    if (headers.origin) headers.origin = this.url.origin;
    const on = request(new URL(q.url, this.url), { method: q.method, headers, agent: this.#agent }, (r) => {
      a.writeHead(r.statusCode, r.rawHeaders);
      r.pipe(a);
      r.on('error', () => a.destroy());
    });
    on.on('error', () => a.destroy());
    a.on('close', () => on.destroy());
    q.pipe(on);
  }

  #upgrade(q, socket, head) {
    const on = connect(
      { port: Number(this.url.port), host: this.url.hostname, rejectUnauthorized: false },
      () => {
        const lines = [`${q.method} ${q.url} HTTP/1.1`];
        for (let i = 0; i < q.rawHeaders.length; i += 2) {
          const name = q.rawHeaders[i].toLowerCase();
          const value = { host: this.url.host, origin: this.url.origin }[name] ?? q.rawHeaders[i + 1];
          lines.push(`${name}: ${value}`);
        }
        on.write(lines.join('\r\n') + '\r\n\r\n');
        on.write(head);
        on.pipe(socket).pipe(on);
      },
    );
    this.#hold(on);
    on.on('close', () => socket.destroy());
    socket.on('close', () => on.destroy());
  }

  #hold(s) {
    this.#sockets.add(s);
    s.on('error', () => s.destroy());
    s.on('close', () => this.#sockets.delete(s));
  }

  end() {
    for (const s of this.#sockets) s.destroy();
    this.#agent.destroy();
    this.#server.close();
  }
}

/** Another build, of the server's present one: files are changed, everything fits together. */
export async function forged(liar, changes) {
  const config = JSON.parse((await liar.honest('/config.json')).body);
  const page = await liar.honest('/');
  const manifest = JSON.parse((await liar.honest(config.base + 'manifest.json')).body);
  const files = {};
  for (const [name, change] of Object.entries(changes)) {
    const f = await liar.honest(config.base + name);
    files[name] = { headers: f.headers, body: Buffer.from(change(f.body.toString())) };
    manifest.files[name] = sha256(files[name].body);
  }
  const text = Buffer.from(JSON.stringify(manifest, null, ' ') + '\n');
  const sum = sha256(text);
  const base = `/a/${sum}/`;
  const plain = (headers) => {
    const kept = { ...headers };
    for (const name of ['content-length', 'content-encoding', 'transfer-encoding']) delete kept[name];
    return kept;
  };
  const answers = {
    '/config.json': {
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ ...config, base, manifest: sum }),
    },
    '/': { headers: plain(page.headers), body: page.body.toString().replaceAll(config.base, base) },
    [base + 'manifest.json']: { headers: { 'content-type': 'application/json' }, body: text },
  };
  if (files['sw.js'])
    answers['/sw.js'] = { headers: plain(files['sw.js'].headers), body: files['sw.js'].body };
  return {
    base,
    sum,
    /** Answers a path as this build, null if it is none of it. */
    async answer(path) {
      if (answers[path]) return answers[path];
      if (!path.startsWith(base)) return null;
      const name = path.slice(base.length);
      const f = files[name] ?? (await liar.honest(config.base + name));
      return { status: f.status ?? 200, headers: plain(f.headers), body: f.body };
    },
  };
}
