// The core as the state knows it: the client of core/client.ts, or one with a
// core made of memory behind it.
import type { Client } from '../core/client';

export type Core = Client;
export { CoreError } from '../core/client';
export type * from '../core/types';
