import type { EgressTarget } from '@thv/core'

/**
 * Parses `host:port` or `[address]:port`; the port may be left out when there is a default.
 * Undefined when it is neither; names have letters, digits, dashes and underscores only,
 * between dots, because they are logged, and because a learned name with a dot before it
 * would be the rule for a whole domain.
 */
export function parseAuthority(text: string, defaultPort?: number): EgressTarget | undefined {
  const match = /^(?:\[([0-9a-f:.]+)\]|((?=[^:]{1,254}(?::|$))[\w-]+(?:\.[\w-]+)*\.?))(?::(\d{1,5}))?$/i.exec(text)
  const port = match?.[3] === undefined ? defaultPort : Number(match[3])
  const host = match?.[1] ?? match?.[2]
  if (host === undefined || port === undefined || port < 1 || port > 65_535) return undefined
  return { host, port }
}

/** Writes `host:port`, with brackets where an address needs them. */
export function formatAuthority({ host, port }: EgressTarget): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
}
