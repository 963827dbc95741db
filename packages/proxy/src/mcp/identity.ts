/** How the proxy introduces itself to servers. A test holds the version against the app's. */
export const proxyIdentity = { name: 'thv', version: '0.1.0' } as const
