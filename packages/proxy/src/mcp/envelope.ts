import { isLogLevel, type LogLevel } from './log-level.ts'
import { copySlice, isRecord, type Message } from './message.ts'
import { isHopKey, metaKeys } from './meta-keys.ts'
import { applySplices, endOfValue, findValue } from './raw-message.ts'
import { isObjectText, rewriteObject } from './rewrite-object.ts'

/** What a Modern request says about its sender. */
export interface Envelope {
  readonly version: string
  /** JSON text, because it goes on as it came. */
  readonly capabilitiesText: string
  /** For display only; never believed. */
  readonly clientInfo?: Readonly<Record<string, unknown>>
  /** Absent: the sender wants no log messages about this request. */
  readonly logLevel?: LogLevel
}

/** What is wrong with an envelope: which key, and why. */
export interface EnvelopeProblem {
  readonly key: string
  readonly problem: string
}

/** The `_meta` of a message's params, undefined without. */
export function metaOf(message: Message): Record<string, unknown> | undefined {
  const params = message.value['params']
  const meta = isRecord(params) ? params['_meta'] : undefined
  return isRecord(meta) ? meta : undefined
}

/** Whether a message claims to be Modern: it names a version, whichever. */
export function hasClaim(message: Message): boolean {
  const meta = metaOf(message)
  return meta !== undefined && Object.hasOwn(meta, metaKeys.version)
}

/** The first thing that is wrong with the envelope in a `_meta`, or undefined. */
export function envelopeProblem(meta: Readonly<Record<string, unknown>>): EnvelopeProblem | undefined {
  const [missing] = missingKeys(meta)
  if (missing !== undefined) return { key: missing, problem: 'missing' }
  if (typeof meta[metaKeys.version] !== 'string') return { key: metaKeys.version, problem: 'must be a string' }
  if (meta[metaKeys.clientInfo] !== undefined && !isImplementation(meta[metaKeys.clientInfo])) {
    return { key: metaKeys.clientInfo, problem: 'must be an object with the strings name and version' }
  }
  if (!areCapabilities(meta[metaKeys.capabilities])) {
    return { key: metaKeys.capabilities, problem: 'must be an object of objects' }
  }
  const level = meta[metaKeys.logLevel]
  return level === undefined || isLogLevel(level)
    ? undefined
    : { key: metaKeys.logLevel, problem: 'must be a log level' }
}

/** The required keys that a `_meta` lacks. */
export function missingKeys(meta: Readonly<Record<string, unknown>>): string[] {
  return [metaKeys.version, metaKeys.capabilities].filter((key) => !Object.hasOwn(meta, key))
}

/** Reads the envelope of a message whose `_meta` is without {@link envelopeProblem}. */
export function readEnvelope(message: Message): Envelope {
  const meta = metaOf(message) ?? {}
  const span = findValue(message.text, message.paramsStart, ['_meta', metaKeys.capabilities])
  const clientInfo = meta[metaKeys.clientInfo]
  const logLevel = meta[metaKeys.logLevel]
  return {
    version: String(meta[metaKeys.version]),
    capabilitiesText: span === undefined ? '{}' : copySlice(message.text, span.start, span.end),
    ...(isRecord(clientInfo) ? { clientInfo } : {}),
    ...(isLogLevel(logLevel) ? { logLevel } : {}),
  }
}

/** The text of a message without what its sender said to this hop. The same text when there is nothing of that kind. */
export function withoutEnvelope(message: Message): string {
  const meta = metaOf(message)
  if (meta === undefined || !Object.keys(meta).some(isHopKey)) return message.text
  return rewriteParams(message, (metaText) => stripMeta(metaText))
}

/** The text of a message with an envelope of our own in place of the sender's. */
export function withEnvelope(message: Message, envelope: Envelope): string {
  return rewriteParams(message, (metaText) => stripMeta(metaText, envelopeMembers(envelope)))
}

/** The members of `_meta` that say an envelope, as JSON texts. */
export function envelopeMembers({ version, clientInfo, capabilitiesText, logLevel }: Envelope): Record<string, string> {
  return {
    [metaKeys.version]: JSON.stringify(version),
    ...(clientInfo === undefined ? {} : { [metaKeys.clientInfo]: JSON.stringify(clientInfo) }),
    [metaKeys.capabilities]: capabilitiesText,
    ...(logLevel === undefined ? {} : { [metaKeys.logLevel]: JSON.stringify(logLevel) }),
  }
}

/** The text of a notification that belongs to a subscription, by the JSON text of its id. */
export function withSubscriptionId(message: Message, idText: string): string {
  return rewriteParams(message, (metaText) => stripMeta(metaText, { [metaKeys.subscriptionId]: idText }))
}

/** The text of a `_meta` object without the keys of its hop, and with others added. */
export function stripMeta(metaText: string | undefined, added: Readonly<Record<string, string>> = {}): string {
  return rewriteObject(
    isObjectText(metaText) ? metaText : '{}',
    (key, value) => (isHopKey(key) ? undefined : value),
    added,
  )
}

/** Replaces `params._meta`, making what is missing on the way. */
function rewriteParams(message: Message, change: (metaText: string | undefined) => string): string {
  const { text, paramsStart } = message
  if (paramsStart === -1) {
    const end = text.lastIndexOf('}')
    return `${text.slice(0, end)},"params":{"_meta":${change(undefined)}}}`
  }
  const paramsEnd = endOfValue(text, paramsStart)
  const params = text.slice(paramsStart, paramsEnd)
  if (!isObjectText(params)) return text
  let hasMeta = false
  const rewritten = rewriteObject(params, (key, value) => {
    if (key !== '_meta') return value
    hasMeta = true
    return change(value)
  })
  const whole = hasMeta ? rewritten : rewriteObject(params, (_key, value) => value, { _meta: change(undefined) })
  return applySplices(text, [{ start: paramsStart, end: paramsEnd, text: whole }])
}

function isImplementation(value: unknown): boolean {
  return isRecord(value) && typeof value['name'] === 'string' && typeof value['version'] === 'string'
}

/** A capability is declared by an object, if only an empty one. */
function areCapabilities(value: unknown): boolean {
  if (!isRecord(value)) return false
  return knownCapabilities.every((name) => value[name] === undefined || isRecord(value[name]))
}

const knownCapabilities = ['experimental', 'sampling', 'elicitation', 'roots', 'extensions'] as const
