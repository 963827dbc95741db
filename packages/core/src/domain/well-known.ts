/** Where the metadata of a protected resource may be: below the well-known path first, then at the root (RFC 9728 3.1). */
export function resourceMetadataUrls(remoteUrl: string): string[] {
  const { origin, pathname } = new URL(remoteUrl)
  const root = `${origin}/.well-known/oauth-protected-resource`
  const path = pathname.replace(/\/$/, '')
  return path === '' ? [root] : [`${root}${path}`, root]
}

/**
 * Where the metadata of an issuer may be, in the order of MCP: RFC 8414 with its path at the end, OpenID Connect in the
 * same way, then OpenID Connect with the path in front.
 */
export function issuerMetadataUrls(issuer: string): string[] {
  const { origin, pathname } = new URL(issuer)
  const path = pathname.replace(/\/$/, '')
  const [oauth, openid] = ['/.well-known/oauth-authorization-server', '/.well-known/openid-configuration']
  if (path === '') return [origin + oauth, origin + openid]
  return [origin + oauth + path, origin + openid + path, origin + path + openid]
}
