import { foldName } from './fold-name.ts'
import { isRecord, param, paramText, type Message } from './message.ts'
import { isObjectText, rewriteObject } from './rewrite-object.ts'

/** Capabilities by which a client says that servers may send it requests. */
const askableFeatures = ['elicitation', 'sampling', 'roots'] as const

/** Whether an `initialize` declares that the server may ask this client something. */
export function declaresAskableFeature(initialize: Message): boolean {
  const capabilities = param(initialize, 'capabilities')
  // `{"sampling": {}}` is the usual way to declare it: an empty object says yes.
  return isRecord(capabilities) && askableFeatures.some((feature) => isRecord(capabilities[feature]))
}

/**
 * JSON text of what an `initialize` declares, without that by which a server may ask: what a
 * Modern server is told of a Legacy client. `{}` when it is longer than `maximumBytes`.
 */
export function unaskableCapabilities(initialize: Message, maximumBytes: number): string {
  const text = paramText(initialize, 'capabilities')
  if (!isObjectText(text) || Buffer.byteLength(text) > maximumBytes) return '{}'
  return rewriteObject(text, (key, value) => (unshared.has(foldName(key)) ? undefined : value))
}

/** Legacy tasks are not those of the Modern extension. */
const unshared: ReadonlySet<string> = new Set([...askableFeatures, 'tasks'])
