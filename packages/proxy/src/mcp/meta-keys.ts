import { foldName } from './fold-name.ts'

/** The keys of `_meta` that one hop says to the next. They are taken away where a message comes in, and made anew where it goes out. */
export const metaKeys = {
  version: 'io.modelcontextprotocol/protocolVersion',
  clientInfo: 'io.modelcontextprotocol/clientInfo',
  capabilities: 'io.modelcontextprotocol/clientCapabilities',
  logLevel: 'io.modelcontextprotocol/logLevel',
  subscriptionId: 'io.modelcontextprotocol/subscriptionId',
  serverInfo: 'io.modelcontextprotocol/serverInfo',
} as const

/**
 * Whether a key of `_meta` is of one hop only, also in another spelling of case, which some
 * parsers take for the same. `progressToken` is one too, but has its own way: see `readdress.ts`.
 */
export function isHopKey(key: string): boolean {
  return hopKeys.has(foldName(key))
}

const hopKeys: ReadonlySet<string> = new Set(Object.values(metaKeys).map(foldName))
