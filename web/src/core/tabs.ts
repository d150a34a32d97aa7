// The core in a Worker: one tab owns it, others work through that tab.

import type { Port } from "./client";
import type { PageConfig } from "./connect";

/** openWorker starts the core, or finds the tab that has it. */
export function openWorker(config: PageConfig): Promise<Port> {
  return Promise.reject(new Error(`no core for ${config.server} yet`));
}
