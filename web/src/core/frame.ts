// A frame as internal/rpc has it; over a socket one message each: the length of
// the JSON in four bytes, the JSON, the bytes.

export type Kind = "call" | "ok" | "err" | "event" | "cancel";

export interface Frame {
  id: number;
  kind: Kind;
  method?: string;
  payload?: unknown;
  bytes?: Uint8Array<ArrayBuffer>;
}

export function encodeFrame(f: Frame): Uint8Array<ArrayBuffer> {
  const { bytes, ...rest } = f;
  const head = new TextEncoder().encode(JSON.stringify(rest));
  const all = new Uint8Array(4 + head.length + (bytes?.length ?? 0));
  new DataView(all.buffer).setUint32(0, head.length);
  all.set(head, 4);
  if (bytes) all.set(bytes, 4 + head.length);
  return all;
}

export function decodeFrame(buffer: ArrayBuffer): Frame {
  const n = new DataView(buffer).getUint32(0);
  const f = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, n))) as Frame;
  if (buffer.byteLength > 4 + n) f.bytes = new Uint8Array(buffer, 4 + n);
  return f;
}
