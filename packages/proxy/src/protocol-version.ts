import type { IncomingMessage, ServerResponse } from 'node:http'
import type { WireError } from './errors.ts'
import { headerOf } from './front-door.ts'
import { isModernVersion, listedRevisions, modernRevision } from './mcp/revision.ts'
import { sendError } from './respond.ts'

/**
 * Answers a request whose version header is not in `listedRevisions` with 400, and says whether
 * it did. A request without the header passes. The body is not looked at, so the answer has no id.
 */
export function refuseUnlistedVersion(req: IncomingMessage, res: ServerResponse): boolean {
  const version = headerOf(req, 'mcp-protocol-version')?.trim()
  if (version === undefined || listedRevisions.some((revision) => revision === version)) return false
  sendError(res, isModernVersion(version) ? notServedError(version) : unsupportedVersionError(version, listedRevisions))
  return true
}

/** The refusal of a version in the header of a Legacy client, with those that would do. */
export function unsupportedVersionError(requested: string, supported: readonly string[]): WireError {
  return {
    name: 'version-unsupported',
    message: `Bad Request: unsupported protocol version (supported versions: ${supported.join(', ')})`,
    data: { supported: [...supported], requested: requested.slice(0, quotedLength) },
  }
}

/** A Modern client chooses another version by this code. */
function notServedError(requested: string): WireError {
  const quoted = requested.slice(0, quotedLength)
  return {
    name: 'version-not-served',
    message: `Unsupported protocol version: ${JSON.stringify(quoted)}`,
    data: { supported: [modernRevision], requested: quoted },
  }
}

const quotedLength = 100
