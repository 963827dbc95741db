import type { Chain } from '../chain.ts'
import type { Message } from '../mcp/message.ts'
import type { CallSink } from './call.ts'

/** A request that has passed the chain, and where its answers go: through the chain again. */
export interface EnteredRequest {
  readonly message: Message
  readonly sink: CallSink
}

/** Takes a request through the chain. Undefined when it was refused; its sink knows then. */
export function enterChain(chain: Chain, given: Message, sink: CallSink): EnteredRequest | undefined {
  const passage = chain.fromClient?.(given) ?? { message: given }
  if ('refused' in passage) {
    sink.refused(passage.refused)
    return undefined
  }
  const { message } = passage
  const { fromServer } = chain
  if (fromServer === undefined || !chain.wantsAnswer(message.method)) return { message, sink }
  const context = { method: message.method, idText: message.idText }
  return {
    message,
    sink: {
      progress: (text) => sink.progress(text),
      related: (text, isFollowUp) => sink.related(text, isFollowUp),
      response: (text, failed) => sink.response(fromServer(text, context), failed),
      refused: (error) => sink.refused(error),
      cancelled: () => sink.cancelled(),
    },
  }
}
