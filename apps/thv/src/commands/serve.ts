import { ThvError, type ServerTarget } from '@thv/core'
import type { CommandContext, CommandInput } from '../command.ts'
import type { Container } from '../container.ts'
import { flagOption, numberOption, textOption } from '../options.ts'
import type { ListenTarget } from '../api/listener.ts'

/** `thv serve`: the API, until a signal ends it. */
export async function serveCommand(context: CommandContext, input: CommandInput): Promise<void> {
  const target = readServerTarget(input)
  const { serveApi } = await import('../api/serve-api.ts')
  const rotation = await rotateOwnLog(context.container)
  try {
    await serveApi(context, { targets: listenTargets(target), withDocument: target.withDocument })
  } finally {
    clearInterval(rotation)
  }
}

/** What the flags of a server say. `invalid-argument`. */
export function readServerTarget(input: CommandInput): ServerTarget {
  const host = textOption(input, 'host')
  const port = numberOption(input, 'port', { flag: '--port', min: 0, max: 65_535 })
  const socket = textOption(input, 'socket')
  if (socket?.startsWith('/') === false) {
    throw new ThvError('invalid-argument', `the socket '${socket}' is not an absolute path`, {
      hint: 'write --socket /path/to/thv.sock; named pipes are not supported',
    })
  }
  return {
    ...(host === undefined ? {} : { host }),
    ...(port === undefined ? {} : { port }),
    ...(socket === undefined ? {} : { socket }),
    withDocument: flagOption(input, 'openapi'),
  }
}

/** In the background, standard error is the log; elsewhere this finds that it is not, and does nothing. */
async function rotateOwnLog(container: Container): Promise<NodeJS.Timeout> {
  const [{ rotateByCopy }, { runnerLimits }] = await Promise.all([container.adapters(), import('@thv/runner')])
  const path = (await container.logs()).apiServerLog()
  return setInterval(() => void rotateByCopy({ path, fd: process.stderr.fd }), runnerLimits.logCheckMs)
}

/** A socket replaces the port, unless a host or a port is given too. */
function listenTargets({ host, port, socket }: ServerTarget): ListenTarget[] {
  const tcp = { host: host ?? '127.0.0.1', port: port ?? 8080 }
  if (socket === undefined) return [tcp]
  return host === undefined && port === undefined ? [{ socket }] : [tcp, { socket }]
}
