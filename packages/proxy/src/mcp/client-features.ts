import { isRecord, param, type Message } from './message.ts'

/** Capabilities by which a client says that servers may send it requests. */
const askableFeatures = ['elicitation', 'sampling', 'roots'] as const

/** Whether an `initialize` declares that the server may ask this client something. */
export function declaresAskableFeature(initialize: Message): boolean {
  const capabilities = param(initialize, 'capabilities')
  // `{"sampling": {}}` is the usual way to declare it: an empty object says yes.
  return isRecord(capabilities) && askableFeatures.some((feature) => isRecord(capabilities[feature]))
}
