// Everything a browser sends, seen from outside of it: a proxy on loopback that the
// browser is told to use for every address. Requests, bodies and the frames of
// WebSockets are kept as they left, so that no request escapes which the browser's
// own tools do not show, such as those of Workers. Only loopback is let through.
import { createServer, request } from 'node:http';
import { connect } from 'node:net';

const loopback = (host) => host.startsWith('127.0.0.1');

export class Wire {
  sent = []; // { to, bytes }: what went to which host
  #server;
  #sockets = new Set();

  static async begin() {
    const w = new Wire();
    w.#server = createServer((q, a) => w.#pass(q, a));
    w.#server.on('connect', (q, socket) => w.#tunnel(q, socket));
    w.#server.on('upgrade', (q, socket) => w.#upgrade(q, socket));
    w.#server.on('connection', (s) => w.#hold(s));
    await new Promise((done) => w.#server.listen(0, '127.0.0.1', done));
    return w;
  }

  get flags() {
    return [
      `--proxy-server=http://127.0.0.1:${this.#server.address().port}`,
      '--proxy-bypass-list=<-loopback>',
    ];
  }

  hosts() {
    return [...new Set(this.sent.map((s) => s.to))].sort();
  }

  get bytes() {
    return this.sent.reduce((n, s) => n + s.bytes.length, 0);
  }

  #hold(s) {
    this.#sockets.add(s);
    s.on('error', () => s.destroy());
    s.on('close', () => this.#sockets.delete(s));
  }

  #keep(to, bytes) {
    this.sent.push({ to, bytes });
  }

  #pass(q, a) {
    const url = new URL(q.url);
    this.#keep(url.host, Buffer.from(`${q.method} ${q.url}\n${q.rawHeaders.join('\n')}`));
    if (!loopback(url.host)) return void a.writeHead(403).end();
    const on = request(url, { method: q.method, headers: q.headers }, (r) => {
      a.writeHead(r.statusCode, r.rawHeaders);
      r.pipe(a);
      r.on('error', () => a.destroy());
    });
    on.on('error', () => a.destroy());
    a.on('close', () => on.destroy());
    q.on('data', (b) => this.#keep(url.host, b));
    q.pipe(on);
  }

  #upgrade(q, socket) {
    const url = new URL(q.url);
    const head = [`GET ${url.pathname}${url.search} HTTP/1.1`];
    for (let i = 0; i < q.rawHeaders.length; i += 2) head.push(`${q.rawHeaders[i]}: ${q.rawHeaders[i + 1]}`);
    this.#join(url.host, socket, head.join('\r\n') + '\r\n\r\n');
  }

  /** CONNECT: TLS to a server, which shows to whom; or a WebSocket without TLS, which shows all. */
  #tunnel(q, socket) {
    this.#keep(q.url, Buffer.from(`CONNECT ${q.url}`));
    if (!loopback(q.url)) return void socket.end('HTTP/1.1 403 Forbidden\r\n\r\n');
    socket.write('HTTP/1.1 200 OK\r\n\r\n');
    this.#join(q.url, socket, '');
  }

  #join(host, socket, first) {
    const [name, port] = host.split(':');
    const on = connect(Number(port ?? 80), name);
    this.#hold(on);
    if (first) {
      this.#keep(host, Buffer.from(first));
      on.write(first);
    }
    const frames = new Frames((b) => this.#keep(host, b), first !== '');
    socket.on('data', (b) => {
      frames.take(b);
      on.write(b);
    });
    on.on('data', (b) => socket.write(b));
    for (const [a, b] of [
      [socket, on],
      [on, socket],
    ]) {
      a.on('error', () => b.destroy());
      a.on('close', () => b.destroy());
    }
  }

  async end() {
    for (const s of this.#sockets) s.destroy();
    await new Promise((done) => this.#server.close(done));
  }
}

/** Takes the masks off the frames a browser sends (RFC 6455, 5.2); what comes before them is kept as it is. */
class Frames {
  #rest = Buffer.alloc(0);
  #open;
  #plain = false;

  constructor(keep, open) {
    this.keep = keep;
    this.#open = open;
  }

  take(b) {
    if (this.#plain) return this.keep(b);
    this.#rest = Buffer.concat([this.#rest, b]);
    if (!this.#open) {
      if (this.#rest[0] !== 0x47) {
        this.#plain = true; // no GET: TLS
        return this.keep(this.#rest);
      }
      const end = this.#rest.indexOf('\r\n\r\n');
      if (end < 0) return undefined;
      this.keep(this.#rest.subarray(0, end));
      this.#rest = this.#rest.subarray(end + 4);
      this.#open = true;
    }
    while (this.#frame());
    return undefined;
  }

  #frame() {
    const b = this.#rest;
    if (b.length < 2) return false;
    let length = b[1] & 127;
    let at = 2;
    if (length === 126) {
      if (b.length < 4) return false;
      length = b.readUInt16BE(2);
      at = 4;
    } else if (length === 127) {
      if (b.length < 10) return false;
      length = Number(b.readBigUInt64BE(2));
      at = 10;
    }
    if (b.length < at + 4 + length) return false;
    if (b[0] & 0x70) throw new Error('a WebSocket frame is compressed: the scan would not see through it');
    const mask = b.subarray(at, at + 4);
    this.keep(b.subarray(at + 4, at + 4 + length).map((x, i) => x ^ mask[i % 4]));
    this.#rest = b.subarray(at + 4 + length);
    return true;
  }
}

/** The forms in which a text could leave: as it is, UTF-16, hexadecimal, base64 at each offset. */
function forms(secret) {
  const raw = Buffer.from(secret);
  const wide = Buffer.from(secret, 'utf16le');
  const out = [
    ['UTF-8', raw],
    ['UTF-16', wide],
    ['in an address', Buffer.from(encodeURIComponent(secret))],
  ];
  for (const b of [raw, wide]) {
    out.push(['hex', Buffer.from(b.toString('hex'))], ['HEX', Buffer.from(b.toString('hex').toUpperCase())]);
    for (const skip of [0, 1, 2]) {
      // Only the characters that these bytes alone decide.
      const code = Buffer.concat([Buffer.alloc(skip), b])
        .toString('base64')
        .replace(/=+$/, '');
      const sure = code.slice(skip === 0 ? 0 : skip + 1, (b.length + skip) % 3 === 0 ? undefined : -1);
      out.push(
        ['base64', Buffer.from(sure)],
        ['base64url', Buffer.from(sure.replaceAll('+', '-').replaceAll('/', '_'))],
      );
    }
  }
  return out;
}

/** Where the secrets stand in what was sent, frames of one host joined; none is good. */
export function leaks(sent, secrets) {
  const byHost = new Map();
  for (const { to, bytes } of sent) byHost.set(to, [...(byHost.get(to) ?? []), bytes]);
  const found = [];
  for (const [to, parts] of byHost) {
    const all = Buffer.concat(parts);
    for (const secret of secrets)
      for (const [form, needle] of forms(secret))
        if (all.includes(needle)) found.push(`“${secret}” goes to ${to} as ${form}`);
  }
  return found;
}
