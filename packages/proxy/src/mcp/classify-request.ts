import type { WireError } from '../errors.ts'
import { envelopeProblem, hasClaim, metaOf, missingKeys, readEnvelope, type Envelope } from './envelope.ts'
import { decodeHeaderValue, trimHeader } from './header-value.ts'
import { param, parseText, type Message, type ParsedText } from './message.ts'
import { metaKeys } from './meta-keys.ts'
import { modernMethodProblem, nameSourceOf } from './modern-methods.ts'
import { allowsBatch, isModernVersion, modernRevision } from './revision.ts'

/** What decides of which era a request is. */
export interface RequestFacts {
  readonly httpMethod: string
  /** Header values as received; undefined when the header is absent. */
  readonly headers: {
    readonly version?: string | undefined
    readonly method?: string | undefined
    readonly name?: string | undefined
  }
  /** The body of a POST. */
  readonly body?: ParsedText
  /** The revision of the session the request names; undefined without a known session. */
  readonly sessionRevision?: string | undefined
}

/** How a request is to be served. */
export type Classification =
  | { kind: 'legacy' }
  /** A notification may come without an envelope. */
  | { kind: 'modern'; message: Message; envelope?: Envelope }
  /** `idText` is the JSON text of the request's id, empty when it is not known. */
  | { kind: 'refused'; error: WireError; idText: string }

/**
 * Decides of which era an HTTP request is. The body decides; the version header is
 * only held against it. A request that claims to be Modern is never served as Legacy.
 */
export function classifyRequest(facts: RequestFacts): Classification {
  const headers = trimAll(facts.headers)
  if (facts.httpMethod !== 'POST') return classifyBodiless(headers.version)
  const { body } = facts
  // What is no message has no era; the front door words the refusal.
  if (body === undefined || body.kind === 'invalid') return legacy
  if (body.kind === 'batch') return classifyBatch(facts, body.items)
  const { message } = body
  if (message.kind === 'response') return legacy
  const claims = hasClaim(message)
  if (message.kind === 'notification') return classifyNotification(message, headers, claims)
  if (message.method === 'initialize' && !hasValidModernClaim(message)) return classifyInitialize(message, headers)
  if (claims) return classifyClaim(message, headers)
  if (headers.version !== undefined && isModernVersion(headers.version)) return lacksEnvelope(message, headers.version)
  return legacy
}

type Headers = RequestFacts['headers']

const legacy: Classification = { kind: 'legacy' }

/** Modern has no GET and no DELETE. A client that says it is Modern is told so; any other uses a session. */
function classifyBodiless(version: string | undefined): Classification {
  if (version === undefined || !isModernVersion(version)) return legacy
  return refuse({ name: 'method-not-allowed', message: `Method not allowed in protocol version ${quote(version)}` })
}

function classifyBatch(facts: RequestFacts, items: readonly string[]): Classification {
  for (const item of items) {
    const parsed = parseText(item)
    if (parsed.kind === 'message' && hasClaim(parsed.message)) {
      return refuse({
        name: 'batch-refused',
        message: `Invalid Request: a batch must not contain messages of protocol version ${modernRevision} or later`,
      })
    }
  }
  if (facts.sessionRevision !== undefined && allowsBatch(facts.sessionRevision)) return legacy
  return refuse({ name: 'batch-refused', message: 'Invalid Request: batches are not supported' })
}

function classifyNotification(message: Message, headers: Headers, claims: boolean): Classification {
  const version = claims ? claimOf(message) : headers.version
  if (!claims && (version === undefined || !isModernVersion(version))) return legacy
  if (version === undefined) return invalidEnvelope(message, { key: metaKeys.version, problem: 'must be a string' })
  if (headers.version !== undefined && headers.version !== version) return versionMismatch(message, headers, version)
  if (!isModernVersion(version)) return notServed(message, version)
  if (headers.method !== undefined && headers.method !== message.method) return methodMismatch(message, headers)
  return version === modernRevision ? { kind: 'modern', message } : notServed(message, version)
}

function classifyInitialize(message: Message, headers: Headers): Classification {
  if (headers.version === undefined || !isModernVersion(headers.version)) return legacy
  const asked = param(message, 'protocolVersion')
  return mismatch(message, {
    header: headers.version,
    value: typeof asked === 'string' ? asked : '',
    problem: 'initialize belongs to the Legacy versions, the MCP-Protocol-Version header does not',
  })
}

function classifyClaim(message: Message, headers: Headers): Classification {
  const meta = metaOf(message) ?? {}
  const problem = envelopeProblem(meta)
  if (problem !== undefined) return invalidEnvelope(message, problem)
  const envelope = readEnvelope(message)
  const { version } = envelope
  if (headers.version !== undefined && headers.version !== version) return versionMismatch(message, headers, version)
  if (headers.method !== undefined && headers.method !== message.method) return methodMismatch(message, headers)
  if (version !== modernRevision) return notServed(message, version)
  const missing = missingHeader(message, headers) ?? nameMismatch(message, headers)
  if (missing !== undefined) return missing
  const unknown = modernMethodProblem(message.method)
  return unknown === undefined ? { kind: 'modern', message, envelope } : refuse(unknown, message.idText)
}

function lacksEnvelope(message: Message, version: string): Classification {
  const meta = metaOf(message)
  const missing = meta === undefined ? ['_meta'] : missingKeys(meta)
  return refuse(
    {
      name: 'envelope-invalid',
      message: `Invalid params: the MCP-Protocol-Version header names ${quote(version)}, but the request lacks ${missing.join(', ')}`,
      data: { envelope: { missing } },
    },
    message.idText,
  )
}

function missingHeader(message: Message, headers: Headers): Classification | undefined {
  if (headers.version === undefined) {
    const value = claimOf(message) ?? ''
    return mismatch(message, { header: '', value, problem: 'the MCP-Protocol-Version header is required' })
  }
  if (headers.method === undefined) {
    return mismatch(message, { header: '', value: message.method, problem: 'the Mcp-Method header is required' })
  }
  return undefined
}

/** The name in the header must be the name in the body, for the methods that mirror one. */
function nameMismatch(message: Message, headers: Headers): Classification | undefined {
  const source = nameSourceOf(message.method)
  if (source === undefined) return undefined
  const named = param(message, source)
  if (headers.name === undefined) {
    if (typeof named !== 'string') return undefined
    return mismatch(message, { header: '', value: named, problem: `the Mcp-Name header must repeat params.${source}` })
  }
  const value = typeof named === 'string' ? named : ''
  const decoded = decodeHeaderValue(headers.name)
  if (decoded === undefined) {
    return mismatch(message, { header: headers.name, value, problem: 'the Mcp-Name header is not well encoded' })
  }
  if (typeof named !== 'string' || decoded === named) return undefined
  return mismatch(message, {
    header: headers.name,
    value,
    problem: `the Mcp-Name header differs from params.${source}`,
  })
}

function versionMismatch(message: Message, headers: Headers, claimed: string): Classification {
  const problem = `the body names version ${quote(claimed)}`
  return mismatch(message, { header: headers.version ?? '', value: claimed, problem })
}

function methodMismatch(message: Message, headers: Headers): Classification {
  const problem = `the body names method ${quote(message.method)}`
  return mismatch(message, { header: headers.method ?? '', value: message.method, problem })
}

/** `data` says it twice: `mismatch` as the SDKs do, `header` and `body`, the two values, as ToolHive does. */
function mismatch(message: Message, pair: { header: string; value: string; problem: string }): Classification {
  const [header, value] = [pair.header, pair.value].map((text) => text.slice(0, quotedLength))
  const { problem } = pair
  return refuse(
    {
      name: 'header-mismatch',
      message: `Bad Request: headers and body disagree: ${problem}`,
      data: { mismatch: { header: header === '' ? '(missing)' : header, body: problem }, header, body: value },
    },
    message.idText,
  )
}

function notServed(message: Message, requested: string): Classification {
  return refuse(
    {
      name: 'version-not-served',
      message: `Unsupported protocol version: ${quote(requested)}`,
      data: { supported: [modernRevision], requested: requested.slice(0, quotedLength) },
    },
    message.idText,
  )
}

function invalidEnvelope(message: Message, envelope: { key: string; problem: string }): Classification {
  return refuse(
    {
      name: 'envelope-invalid',
      message: `Invalid params: ${envelope.key} in _meta ${envelope.problem === 'missing' ? 'is missing' : envelope.problem}`,
      data: { envelope },
    },
    message.idText,
  )
}

function hasValidModernClaim(message: Message): boolean {
  const claimed = claimOf(message)
  return claimed !== undefined && isModernVersion(claimed) && envelopeProblem(metaOf(message) ?? {}) === undefined
}

function claimOf(message: Message): string | undefined {
  const claimed = metaOf(message)?.[metaKeys.version]
  return typeof claimed === 'string' ? claimed : undefined
}

function refuse(error: WireError, idText = ''): Classification {
  return { kind: 'refused', error, idText }
}

function trimAll({ version, method, name }: Headers): Headers {
  return {
    version: version === undefined ? undefined : trimHeader(version),
    method: method === undefined ? undefined : trimHeader(method),
    name: name === undefined ? undefined : trimHeader(name),
  }
}

/** What a peer sent, short enough for a message. */
function quote(text: string): string {
  return JSON.stringify(text.slice(0, quotedLength))
}

const quotedLength = 100
