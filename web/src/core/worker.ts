// The Worker that runs the core. It is told once where the files are, starts the
// core, and passes it a port for each tab.
/// <reference lib="webworker" />

interface Begin {
  base: string;
  server: string;
  origin: string;
  version: string;
}

interface GoRuntime {
  importObject: WebAssembly.Imports;
  run(instance: WebAssembly.Instance): Promise<void>;
}

interface CoreScope extends DedicatedWorkerGlobalScope {
  Go: new () => GoRuntime;
  huisConfig: { server: string; origin: string; version: string };
  huisReady: (connect: ((port: MessagePort) => void) | null, code: string, text: string) => void;
}

const scope = self as unknown as CoreScope;
let connect: ((port: MessagePort) => void) | null = null;
const early: MessagePort[] = [];

scope.onmessage = (m: MessageEvent<Begin | MessagePort>) => {
  if (m.data instanceof MessagePort) {
    if (connect) connect(m.data);
    else early.push(m.data);
    return;
  }
  void begin(m.data);
};

async function begin(b: Begin): Promise<void> {
  scope.huisConfig = { server: b.server, origin: b.origin, version: b.version };
  scope.huisReady = (c, code, text) => {
    connect = c;
    if (c) early.splice(0).forEach(c);
    scope.postMessage(c ? { ready: true } : { failed: code, text });
  };
  try {
    await import(/* @vite-ignore */ `${b.base}wasm_exec.js`);
    const go = new scope.Go();
    const { instance } = await WebAssembly.instantiateStreaming(fetch(`${b.base}core.wasm`), go.importObject);
    await go.run(instance);
    scope.postMessage({ failed: "internal", text: "the core ended" });
  } catch (e) {
    scope.postMessage({ failed: "internal", text: String(e) });
  }
}
