import type { WireError } from '../errors.ts'
import { stripMeta } from './envelope.ts'
import { legacyTool, wrapStructured } from './legacy-tool.ts'
import { metaKeys } from './meta-keys.ts'
import { applySplices, findValue } from './raw-message.ts'
import { isObjectText, rewriteArray, rewriteObject } from './rewrite-object.ts'

/**
 * The response of a Modern server as a Legacy client is to read it: without what only
 * Modern knows, and in the shapes that Legacy clients accept. A refusal when the
 * response is no result that a Legacy client could be given.
 */
export function toLegacyResponse(text: string, method: string): string | WireError {
  const at = text.indexOf('{')
  const result = findValue(text, at, ['result'])
  if (result === undefined) return text
  const resultText = text.slice(result.start, result.end)
  if (!isObjectText(resultText)) return text
  const type = readString(resultText, ['resultType'])
  if (type === 'input_required') return askClient(method)
  if (type !== undefined && type !== 'complete') return unknownResult(method, type)
  const plain = rewriteObject(resultText, (key, value) => {
    if (modernMembers.has(key)) return undefined
    if (key === '_meta') return keptMeta(value)
    return key === 'tools' && method === 'tools/list' ? rewriteArray(value, legacyTool) : value
  })
  return applySplices(text, [{ ...result, text: method === 'tools/call' ? wrapStructured(plain) : plain }])
}

/**
 * The result of `initialize` that says what a server said in answer to `server/discover`.
 * `protocolVersion` is the Legacy one its clients are to speak with us.
 */
export function buildInitializeResult(discoverResultText: string, protocolVersion: string): string {
  const info = findValue(discoverResultText, 0, ['_meta', metaKeys.serverInfo])
  const serverInfo = info === undefined ? '{"name":"","version":""}' : discoverResultText.slice(info.start, info.end)
  return rewriteObject(
    discoverResultText,
    (key, value) => {
      if (modernMembers.has(key) || replacedByInitialize.has(key)) return undefined
      if (key === 'capabilities' && isObjectText(value)) return withoutTasks(value)
      return key === '_meta' ? keptMeta(value) : value
    },
    { protocolVersion: JSON.stringify(protocolVersion), serverInfo },
  )
}

/** The protocol versions that an answer to `server/discover` lists. */
export function readSupportedVersions(discoverResultText: string): string[] {
  const span = findValue(discoverResultText, 0, ['supportedVersions'])
  const listed: unknown = span === undefined ? [] : JSON.parse(discoverResultText.slice(span.start, span.end))
  return Array.isArray(listed) ? listed.filter((version) => typeof version === 'string') : []
}

const modernMembers: ReadonlySet<string> = new Set(['resultType', 'ttlMs', 'cacheScope'])
const replacedByInitialize: ReadonlySet<string> = new Set(['supportedVersions', 'protocolVersion', 'serverInfo'])

/**
 * The server wants an answer from the user, which a Legacy client would have to be asked
 * for by a request of its own. This is the place where that request begins.
 */
function askClient(method: string): WireError {
  return {
    name: 'input-not-bridged',
    message: `The server asks for input before it goes on with ${method}, which clients before protocol version 2026-07-28 cannot be asked for here; the call did not complete. Use a client of version 2026-07-28`,
    data: { outcome: 'unknown' },
  }
}

function unknownResult(method: string, type: string): WireError {
  return {
    name: 'result-invalid',
    message: `The server answered ${method} with a result of the unknown type ${JSON.stringify(type.slice(0, 100))}; the call may have run`,
    data: { outcome: 'unknown' },
  }
}

/** A `_meta` without the keys of the hop, undefined when nothing else was in it. */
function keptMeta(metaText: string): string | undefined {
  if (!isObjectText(metaText)) return metaText
  const kept = stripMeta(metaText)
  return kept === '{}' ? undefined : kept
}

/** Tasks of the extension are no tasks that a Legacy client knows. */
function withoutTasks(capabilitiesText: string): string {
  return rewriteObject(capabilitiesText, (key, value) => {
    if (key !== 'extensions' || !isObjectText(value)) return value
    return rewriteObject(value, (name, settings) => (name === tasksExtension ? undefined : settings))
  })
}

const tasksExtension = 'io.modelcontextprotocol/tasks'

function readString(objectText: string, path: readonly string[]): string | undefined {
  const span = findValue(objectText, 0, path)
  if (span === undefined) return undefined
  const value: unknown = JSON.parse(objectText.slice(span.start, span.end))
  return typeof value === 'string' ? value : String(value)
}
