/**
 * What a token for a remote server is asked for by default (RFC 8707): its URL with scheme and host in lower case and
 * without fragment. The query stays away too: RFC 8707 advises against one, and it may hold a key that the authorization
 * server must not see. Throws a `TypeError` for what is no URL.
 */
export function resourceIndicator(remoteUrl: string): string {
  const url = new URL(remoteUrl)
  url.hash = ''
  url.search = ''
  // A bare origin is named without the slash that the parser adds: MCP writes `https://mcp.example.com`.
  return url.pathname === '/' ? url.origin : url.href
}

/**
 * Whether a resource that metadata names is the server or has it below it: the same origin, and its path is the server's
 * or a whole part of it. Anything else would be a token for somebody else: RFC 9728 7.3.
 */
export function coversServer(resource: string, remoteUrl: string): boolean {
  if (!URL.canParse(resource)) return false
  const [named, server] = [new URL(resource), new URL(remoteUrl)]
  if (named.origin !== server.origin || named.hash !== '' || named.username !== '' || named.password !== '')
    return false
  if (named.search !== '' && named.search !== server.search) return false
  return withSlash(server.pathname).startsWith(withSlash(named.pathname))
}

function withSlash(path: string): string {
  return path.endsWith('/') ? path : `${path}/`
}
