import { isRecord, parseText } from '../mcp/message.ts'
import { metaKeys } from '../mcp/meta-keys.ts'
import { modernRevision } from '../mcp/revision.ts'
import type { BackendInfo } from '../proxy-config.ts'

/**
 * What an answer to `server/discover` says of a server. `suspect`: it knows the
 * codes of the Modern era, but did not like the question. `unclear`: it says
 * nothing about the era, because it did not come from there or the server is not well.
 */
export type DiscoverVerdict = 'modern' | 'legacy' | 'suspect' | 'unclear'

/** Reads the answer of an HTTP server to `server/discover`. Never throws. */
export function judgeDiscover(status: number, text: string): DiscoverVerdict {
  if (status < 200 || (status >= 300 && status < 400) || inconclusive.has(status) || status >= 500) return 'unclear'
  const parsed = parseText(text)
  const value = parsed.kind === 'message' ? parsed.message.value : {}
  const { result, error } = value
  if (isRecord(error)) return judgeError(status, error)
  if (status >= 400) return 'legacy'
  const versions = isRecord(result) ? result['supportedVersions'] : undefined
  if (!Array.isArray(versions)) return isRecord(result) ? 'legacy' : 'unclear'
  return versions.includes(modernRevision) ? 'modern' : 'legacy'
}

/** What a Modern server says about itself, by its answer to `server/discover`. */
export function readDiscover(text: string): BackendInfo {
  const parsed = parseText(text)
  const result = parsed.kind === 'message' ? parsed.message.value['result'] : undefined
  const meta = isRecord(result) ? result['_meta'] : undefined
  const about = isRecord(meta) ? meta[metaKeys.serverInfo] : undefined
  const { name, version } = isRecord(about) ? about : {}
  return {
    serverName: typeof name === 'string' ? name : '',
    serverVersion: typeof version === 'string' ? version : '',
    protocolVersion: modernRevision,
  }
}

function judgeError(status: number, error: Record<string, unknown>): DiscoverVerdict {
  const { code, data } = error
  if (code === unsupportedVersion) {
    const supported = isRecord(data) ? data['supported'] : undefined
    // A list without the version we speak is of a server with which only the handshake is left to try.
    return Array.isArray(supported) && supported.includes(modernRevision) ? 'modern' : 'legacy'
  }
  return status === 400 && (code === headerMismatch || code === missingCapability) ? 'suspect' : 'legacy'
}

/** Whoever answers these stands before the server, or speaks for a moment only. */
const inconclusive: ReadonlySet<number> = new Set([401, 403, 407, 408, 429])
const unsupportedVersion = -32022
const headerMismatch = -32020
const missingCapability = -32021
