/** Maxima of what is said to and by authorization servers. Times are milliseconds, sizes bytes. */
export const oauthLimits = {
  /** One answer: metadata of big providers is 5 KB, tokens are a few. */
  answerBytes: 64 * 1024,
  /** One request with its answer; a login page may have waited for a cold start. */
  requestMs: 10_000,
  /** All of a discovery, which is up to a dozen requests. */
  discoveryMs: 30_000,
  /** Redirects of a server to itself, as from `/mcp` to `/mcp/`. */
  redirects: 3,
  /** Authorization servers of one resource that are tried. */
  issuers: 4,
  /** Longest lifetime of a token that is believed; a longer one would overflow dates. */
  lifetimeMs: 10 * 365 * 24 * 60 * 60 * 1000,
  /** A client secret is renewed this long before it ends, so that a weekend without a refresh does no harm. */
  secretRenewalMs: 3 * 24 * 60 * 60 * 1000,
} as const
