import type { IncomingMessage, ServerResponse } from 'node:http'
import type { WireError } from './errors.ts'
import type { Message } from './mcp/message.ts'

/** What a step made of a client's message: the message that goes on, or why it does not. */
export type Passage = { readonly message: Message } | { readonly refused: WireError }

/** What an answer belongs to. */
export interface AnswerContext {
  /** Method of the request; empty where a text comes on a stream that may answer anything, or nothing. */
  readonly method: string
  /** JSON text of the request's id; empty when it is not known. */
  readonly idText: string
}

/**
 * One member of the chain: data, and up to three steps. Steps must not keep a
 * request waiting without a bound of their own, and never start anything.
 */
export interface Middleware {
  /** The type in a stored chain, as ToolHive names it. */
  readonly name: string
  /** Looks at the head of a request. False when it has answered, or will. */
  admit?(req: IncomingMessage, res: ServerResponse): boolean | Promise<boolean>
  /** Looks at one message of a client. */
  fromClient?(message: Message): Passage
  /** Methods whose answers `fromServer` has to see; without it all. */
  readonly answers?: ReadonlySet<string>
  /** Gives the text that the client gets for a text of the server; the same text to leave it as it is. */
  fromServer?(text: string, context: AnswerContext): string
}
