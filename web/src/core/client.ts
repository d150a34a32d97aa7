// The one way to the core: typed calls and events over whatever carries frames.
// Start with connect() of connect.ts, which chooses the carrier.

import type { Frame } from "./frame";
import type { Attachment, AttachmentRequest, Error as Refusal, ErrorCode, Events, Exchanges, Methods, Message, Progress, SendRequest, Sentence } from "./types";

/** Port carries frames to the core and back. */
export interface Port {
  send(f: Frame): void;
  /** Called with each frame of the core. */
  onframe: (f: Frame) => void;
  /** Called when the core went away (true) and when it is there again (false). */
  onlost: (lost: boolean) => void;
}

/** CoreError is why a call failed. */
export class CoreError extends Error {
  constructor(
    readonly code: ErrorCode,
    message: string,
    readonly hint: string,
    /** What was found and what to do, where that says more than the code. */
    readonly reason?: Sentence,
    readonly fix?: Sentence,
  ) {
    super(message);
  }
}

type Answer<K extends keyof Exchanges> = Exchanges[K]["answer"];

/** Reply answers an event within a call; bytes go beside the payload. */
type Reply<K extends keyof Exchanges> = (tells: Exchanges[K]["tells"], bytes?: Uint8Array<ArrayBuffer>) => ReplyOf<K> | Promise<ReplyOf<K>>;
type ReplyOf<K extends keyof Exchanges> = Answer<K> extends null ? void : { payload: Answer<K>; bytes?: Uint8Array<ArrayBuffer> };

export interface Options {
  signal?: AbortSignal;
  /** What to do with events within the call. */
  on?: { [K in keyof Exchanges]?: Reply<K> };
}

interface Pending {
  resolve(payload: unknown): void;
  reject(e: CoreError): void;
  on: Record<string, ((tells: unknown, bytes?: Uint8Array<ArrayBuffer>) => unknown) | undefined>;
}

/** Client is an interface's end of the core. */
export class Client {
  #next = 1;
  #pending = new Map<number, Pending>();
  #listeners = new Map<string, Set<(payload: never) => void>>();
  #lost = new Set<(lost: boolean) => void>();

  constructor(readonly port: Port) {
    port.onframe = (f) => this.#take(f);
    port.onlost = (lost) => this.#lose(lost);
  }

  /** call asks the core for something. */
  call<M extends keyof Methods>(method: M, request: Methods[M]["call"], options: Options = {}): Promise<Methods[M]["ok"]> {
    const id = this.#next++;
    return new Promise((resolve, reject) => {
      const abort = () => this.port.send({ id, kind: "cancel" });
      const settle = () => options.signal?.removeEventListener("abort", abort);
      if (options.signal?.aborted) return reject(new CoreError("cancelled", "cancelled", ""));
      options.signal?.addEventListener("abort", abort);
      this.#pending.set(id, {
        resolve: (p) => (settle(), resolve(p as Methods[M]["ok"])),
        reject: (e) => (settle(), reject(e)),
        on: (options.on ?? {}) as Pending["on"],
      });
      this.port.send({ id, kind: "call", method, payload: request });
    });
  }

  /** on listens to an event that belongs to no call; the result ends that. */
  on<E extends keyof Events>(event: E, listener: (payload: Events[E]) => void): () => void {
    const all = this.#listeners.get(event) ?? new Set();
    this.#listeners.set(event, all);
    all.add(listener as (payload: never) => void);
    return () => all.delete(listener as (payload: never) => void);
  }

  /** onLost tells when the core goes away and comes back. */
  onLost(listener: (lost: boolean) => void): () => void {
    this.#lost.add(listener);
    return () => this.#lost.delete(listener);
  }

  /** send writes a message with files, which stay where they are until read. */
  async send(request: Omit<SendRequest, "files">, files: File[], progress?: (p: Progress) => void, signal?: AbortSignal): Promise<Message> {
    const sent = await this.call(
      "message.send",
      { ...request, files: files.map((f) => ({ name: f.name, size: f.size, mediaType: f.type })) },
      {
        ...(signal && { signal }),
        on: {
          "file.want": async ({ file, offset, length }) => ({
            payload: {},
            bytes: new Uint8Array((await files[file]?.slice(offset, offset + length).arrayBuffer()) ?? new ArrayBuffer(0)),
          }),
          "file.progress": (p) => progress?.(p),
        },
      },
    );
    return sent.message;
  }

  /**
   * read gives a file's bytes to sink, piece by piece. What sink got is the file
   * only once the promise is fulfilled.
   */
  read(
    request: AttachmentRequest,
    sink: (bytes: Uint8Array<ArrayBuffer>) => void | Promise<void>,
    progress?: (p: Progress) => void,
    signal?: AbortSignal,
  ): Promise<Attachment> {
    return this.call("attachment.read", request, {
      ...(signal && { signal }),
      on: {
        "file.chunk": async ({ offset, total }, bytes) => {
          if (bytes) await sink(bytes);
          progress?.({ done: offset + (bytes?.length ?? 0), total });
          return { payload: {} };
        },
      },
    });
  }

  /** blob reads a whole file into memory: for previews and small downloads. */
  async blob(request: AttachmentRequest, type: string, progress?: (p: Progress) => void, signal?: AbortSignal): Promise<Blob> {
    const parts: Uint8Array<ArrayBuffer>[] = [];
    await this.read(request, (b) => void parts.push(b), progress, signal);
    return new Blob(parts, { type });
  }

  /** evidence reads a file this device keeps to show to others. */
  async evidence(name: string): Promise<Blob> {
    const parts: Uint8Array<ArrayBuffer>[] = [];
    await this.call("evidence.read", { name }, {
      on: { "file.chunk": (_, bytes) => (bytes && parts.push(bytes), { payload: {} }) },
    });
    return new Blob(parts, { type: "application/octet-stream" });
  }

  #take(f: Frame): void {
    if (f.id === 0) {
      if (f.kind === "event" && f.method) this.#listeners.get(f.method)?.forEach((l) => l(f.payload as never));
      return;
    }
    const p = this.#pending.get(f.id);
    if (!p) return;
    if (f.kind === "event") {
      void this.#answer(f, p);
      return;
    }
    this.#pending.delete(f.id);
    if (f.kind === "ok") p.resolve(f.payload);
    else p.reject(refusal(f.payload as Refusal));
  }

  async #answer(f: Frame, p: Pending): Promise<void> {
    try {
      const reply = (await p.on[f.method ?? ""]?.(f.payload, f.bytes)) as { payload: unknown; bytes?: Uint8Array<ArrayBuffer> } | undefined;
      if (reply) this.port.send({ id: f.id, kind: "event", ...(f.method && { method: f.method }), ...reply });
    } catch (e) {
      this.#pending.delete(f.id);
      this.port.send({ id: f.id, kind: "cancel" });
      p.reject(e instanceof CoreError ? e : new CoreError("internal", String(e), ""));
    }
  }

  #lose(lost: boolean): void {
    if (lost) {
      const all = [...this.#pending.values()];
      this.#pending.clear();
      all.forEach((p) => p.reject(new CoreError("disconnected", "the core went away", "")));
    }
    this.#lost.forEach((l) => l(lost));
  }
}

function refusal(e: Refusal): CoreError {
  return new CoreError(e.code, e.text, e.hint, e.reason, e.fix);
}
