import type { ProxyConfig } from '@thv/proxy'

/** Where the supervisor tells what it does; lines end up in the proxy log. */
export type Log = ProxyConfig['log']
