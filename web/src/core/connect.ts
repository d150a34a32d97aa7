// Which core this page has: the program on this computer, or one in a Worker.

import { Client } from "./client";
import { openSocket } from "./socket";
import { openWorker } from "./tabs";

/** PageConfig is what the server of this page says of itself, /config.json. */
export interface PageConfig {
  core: "socket" | "worker";
  /** worker: the server, as an invitation names it. */
  server: string;
  version: string;
  /** worker: whether the server has a core to give. */
  built: boolean;
  /** Where this page's files are, /a/<hash>/, and the hash of their manifest. */
  base: string;
  manifest: string;
}

/** pageConfig asks the server of this page. */
export async function pageConfig(): Promise<PageConfig> {
  const answer = await fetch("/config.json", { cache: "no-store", credentials: "same-origin" });
  if (!answer.ok) throw new Error(`config.json: ${answer.status}`);
  return (await answer.json()) as PageConfig;
}

/** connect gives the core. It fails with "no-session" or "not-built". */
export async function connect(config: PageConfig): Promise<Client> {
  if (config.core === "socket") return new Client(await openSocket());
  if (!config.built) throw new Error("not-built");
  return new Client(await openWorker(config));
}
