// The core as the program on this computer: frames over a WebSocket on loopback.
// The one-time token stands in the address's fragment; it is exchanged for a
// session, which this browser keeps and which ends with the program.

import type { Port } from "./client";
import { decodeFrame, encodeFrame, type Frame } from "./frame";

const kept = "huis-session";

/** openSocket connects to the program that serves this page; it fails with "no-session". */
export async function openSocket(): Promise<Port> {
  const port = new SocketPort(await session());
  port.connect();
  return port;
}

/** session exchanges the token in the address, or takes what the browser kept. */
async function session(): Promise<string> {
  const token = /^#token=([A-Za-z0-9_-]+)$/.exec(location.hash)?.[1];
  if (token) {
    history.replaceState(null, "", location.pathname);
    const answer = await fetch("/rpc/session", { method: "POST", headers: { "Content-Type": "text/plain" }, body: token });
    if (answer.ok) localStorage.setItem(kept, await answer.text());
  }
  const s = localStorage.getItem(kept);
  if (!s || !(await good(s))) throw new Error("no-session");
  return s;
}

/** good tells whether the program still knows a session. */
async function good(session: string): Promise<boolean> {
  const answer = await fetch("/rpc/session", { headers: { Authorization: `Bearer ${session}` } });
  return answer.ok;
}

class SocketPort implements Port {
  onframe: (f: Frame) => void = () => {};
  onlost: (lost: boolean) => void = () => {};
  #socket: WebSocket | undefined;
  #queue: Frame[] = [];
  #wait = 250;

  constructor(readonly session: string) {}

  connect(): void {
    const socket = new WebSocket(`ws://${location.host}/rpc/socket`, ["huis", this.session]);
    socket.binaryType = "arraybuffer";
    socket.onopen = () => {
      this.#socket = socket;
      this.#wait = 250;
      for (const f of this.#queue.splice(0)) this.send(f);
      this.onlost(false);
    };
    socket.onmessage = (m) => this.onframe(decodeFrame(m.data as ArrayBuffer));
    socket.onclose = () => {
      this.#socket = undefined;
      this.#queue = [];
      this.onlost(true);
      setTimeout(() => this.connect(), this.#wait);
      this.#wait = Math.min(this.#wait * 2, 3000);
    };
  }

  send(f: Frame): void {
    if (this.#socket) this.#socket.send(encodeFrame(f));
    else this.#queue.push(f);
  }
}
