import { stripMeta } from './envelope.ts'
import { metaKeys } from './meta-keys.ts'
import { applySplices, findValue } from './raw-message.ts'
import { modernRevision } from './revision.ts'
import { isObjectText, rewriteArray, rewriteObject } from './rewrite-object.ts'

/** What a translation has to know besides the response. */
export interface ResponseContext {
  readonly method: string
  /** JSON text of the server's own description; empty when it gave none. */
  readonly serverInfoText: string
}

/**
 * The response of a Legacy server as a Modern client is to read it: the result says
 * that it is complete, from whom it is, and that it must not be cached. What the
 * translation does not know stays as it was.
 */
export function toModernResponse(text: string, context: ResponseContext): string {
  const at = text.indexOf('{')
  const result = findValue(text, at, ['result'])
  if (result === undefined) return withModernErrorCode(text, at)
  const resultText = text.slice(result.start, result.end)
  if (!isObjectText(resultText)) return text
  const isCacheable = cacheableMethods.has(context.method)
  const rewritten = rewriteObject(
    resultText,
    (key, value) => {
      if (key === 'resultType' || key === '_meta') return undefined
      if (isCacheable && (key === 'ttlMs' || key === 'cacheScope')) return undefined
      return key === 'tools' && context.method === 'tools/list' ? rewriteArray(value, withoutExecution) : value
    },
    {
      resultType: '"complete"',
      ...(isCacheable ? uncacheable : {}),
      ...modernMeta(resultText, context.serverInfoText),
    },
  )
  return applySplices(text, [{ ...result, text: rewritten }])
}

/**
 * The response of a Modern server as another hop is to see it: only who it is from is
 * said by us. Undefined when the response is none of a Modern server: its result has no type.
 */
export function relayModernResponse(text: string, serverInfoText: string): string | undefined {
  const at = text.indexOf('{')
  const result = findValue(text, at, ['result'])
  if (result === undefined) return text
  const resultText = text.slice(result.start, result.end)
  if (!isObjectText(resultText) || findValue(resultText, 0, ['resultType']) === undefined) return undefined
  const rewritten = rewriteObject(
    resultText,
    (key, value) => (key === '_meta' ? undefined : value),
    modernMeta(resultText, serverInfoText),
  )
  return applySplices(text, [{ ...result, text: rewritten }])
}

/** The result of `server/discover` that says what a server said in answer to `initialize`. */
export function buildDiscoverResult(initializeResultText: string): string {
  return rewriteObject(initializeResultText, (key, value) => (replacedByDiscover.has(key) ? undefined : value), {
    resultType: '"complete"',
    supportedVersions: JSON.stringify([modernRevision]),
    ...uncacheable,
    ...modernMeta(initializeResultText, readServerInfo(initializeResultText)),
  })
}

/** The JSON text of `serverInfo` in the answer to `initialize`; empty without. */
export function readServerInfo(initializeResultText: string): string {
  const span = findValue(initializeResultText, 0, ['serverInfo'])
  return span === undefined ? '' : initializeResultText.slice(span.start, span.end)
}

/** Methods whose results say how long they may be kept. */
const cacheableMethods: ReadonlySet<string> = new Set([
  'tools/list',
  'prompts/list',
  'resources/list',
  'resources/templates/list',
  'resources/read',
])

/** A Legacy server says nothing about keeping, so nothing may be kept. */
const uncacheable = { ttlMs: '0', cacheScope: '"private"' }

const replacedByDiscover: ReadonlySet<string> = new Set([
  'protocolVersion',
  'serverInfo',
  'supportedVersions',
  'resultType',
  'ttlMs',
  'cacheScope',
  '_meta',
])

/** The member `_meta` with our word for who the server is; none at all when it would be empty. */
function modernMeta(resultText: string, serverInfoText: string): Record<string, string> {
  const span = findValue(resultText, 0, ['_meta'])
  const own = span === undefined ? undefined : resultText.slice(span.start, span.end)
  const added = serverInfoText === '' ? {} : { [metaKeys.serverInfo]: serverInfoText }
  const text = stripMeta(own, added)
  return own === undefined && text === '{}' ? {} : { _meta: text }
}

/** Modern has no Legacy tasks, which is what `execution` is about. */
function withoutExecution(toolText: string): string {
  if (!isObjectText(toolText)) return toolText
  return rewriteObject(toolText, (key, value) => (key === 'execution' ? undefined : value))
}

/** Legacy has a number of its own for a resource that does not exist. */
function withModernErrorCode(text: string, at: number): string {
  const code = findValue(text, at, ['error', 'code'])
  if (code === undefined || text.slice(code.start, code.end) !== '-32002') return text
  return applySplices(text, [{ ...code, text: '-32602' }])
}
