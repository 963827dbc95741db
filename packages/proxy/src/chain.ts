import type { IncomingMessage, ServerResponse } from 'node:http'
import { buildErrorText } from './errors.ts'
import { describeFault } from './fault.ts'
import type { Message } from './mcp/message.ts'
import type { AnswerContext, Middleware, Passage } from './middleware.ts'
import type { ProxyLog } from './proxy-config.ts'

/**
 * The chain of one proxy, ready to be asked. A step that no member has is
 * undefined, so whoever asks pays one comparison for it. Never throws, but for `admit`.
 */
export interface Chain {
  readonly admit: ((req: IncomingMessage, res: ServerResponse) => boolean | Promise<boolean>) | undefined
  readonly fromClient: ((message: Message) => Passage) | undefined
  readonly fromServer: ((text: string, context: AnswerContext) => string) | undefined
  /** Whether any member looks at messages. */
  readonly readsMessages: boolean
  /** Whether `fromServer` has to see answers to this method. */
  wantsAnswer(method: string): boolean
}

/**
 * Joins members into one chain. The first is outermost: it sees a request first
 * and the answer last. A fault in a message step becomes an error with a number
 * that the log explains, in place of what the step was given.
 */
export function compileChain(members: readonly Middleware[], log: ProxyLog): Chain {
  const fromClient = members.flatMap((member) => member.fromClient?.bind(member) ?? [])
  const fromServer = members.filter((member) => member.fromServer !== undefined)
  const wantsAll = fromServer.some(({ answers }) => answers === undefined)
  const wanted = new Set(fromServer.flatMap(({ answers }) => [...(answers ?? [])]))
  return {
    admit: joinAdmit(members.flatMap((member) => member.admit?.bind(member) ?? [])),
    fromClient: joinFromClient(fromClient, log),
    fromServer: joinFromServer(fromServer.toReversed(), log),
    readsMessages: fromClient.length + fromServer.length > 0,
    wantsAnswer: (method) => fromServer.length > 0 && (wantsAll || method === '' || wanted.has(method)),
  }
}

type Admit = NonNullable<Chain['admit']>

function joinAdmit(steps: readonly Admit[]): Admit | undefined {
  if (steps.length === 0) return undefined
  return (req, res) => {
    for (const [index, step] of steps.entries()) {
      const verdict = step(req, res)
      if (verdict === false) return false
      // Only a step that has to wait makes the rest wait.
      if (verdict !== true) return admitLater(verdict, steps.slice(index + 1), { req, res })
    }
    return true
  }
}

async function admitLater(
  first: Promise<boolean>,
  rest: readonly Admit[],
  { req, res }: { req: IncomingMessage; res: ServerResponse },
): Promise<boolean> {
  if (!(await first)) return false
  for (const step of rest) if (res.destroyed || !(await step(req, res))) return false
  return !res.destroyed
}

function joinFromClient(steps: readonly ((message: Message) => Passage)[], log: ProxyLog): Chain['fromClient'] {
  if (steps.length === 0) return undefined
  return (given) => {
    let message = given
    try {
      for (const step of steps) {
        const passage = step(message)
        if ('refused' in passage) return passage
        message = passage.message
      }
      return { message }
    } catch (error) {
      return { refused: describeFault(error, log) }
    }
  }
}

function joinFromServer(members: readonly Middleware[], log: ProxyLog): Chain['fromServer'] {
  if (members.length === 0) return undefined
  return (given, context) => {
    let text = given
    try {
      for (const member of members) {
        if (member.answers !== undefined && context.method !== '' && !member.answers.has(context.method)) continue
        text = member.fromServer?.(text, context) ?? text
      }
      return text
    } catch (error) {
      // What could not be looked at must not pass.
      return buildErrorText(describeFault(error, log), context.idText)
    }
  }
}
