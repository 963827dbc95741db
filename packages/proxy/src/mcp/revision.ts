/** The revisions with an `initialize` handshake, oldest first. Dates compare as text. */
export const legacyRevisions = ['2024-10-07', '2024-11-05', '2025-03-26', '2025-06-18', '2025-11-25'] as const

/** The versions that strict validation lets through in a header; spec/local 4.9. */
export const listedRevisions = ['2024-11-05', '2025-03-26', '2025-06-18', '2025-11-25', '2026-07-28'] as const

/** How two peers speak: with `initialize` and sessions, or with every request on its own. */
export type Era = 'legacy' | 'modern'

/** The newest revision the proxy offers to a server in `initialize`. */
export const newestRevision = '2025-11-25'

/** The newest revision without handshake: the one the proxy speaks to Modern peers. */
export const modernRevision = '2026-07-28'

/** Whether a version is of the Modern era, served or not. */
export function isModernVersion(version: string): boolean {
  return version >= modernRevision
}

/** Whether a version is a Legacy one the proxy serves. */
export function isServedRevision(version: string): boolean {
  return legacyRevisions.some((revision) => revision === version)
}

/** What a client gets: its own version when both the proxy and the server know it, else the server's. */
export function negotiateRevision(asked: unknown, serverVersion: string): string {
  if (typeof asked !== 'string' || !isServedRevision(asked)) return serverVersion
  return asked <= serverVersion ? asked : serverVersion
}

/** Batches existed in one revision only: 2025-03-26 added them, 2025-06-18 removed them. */
export function allowsBatch(version: string): boolean {
  return version === '2025-03-26'
}
