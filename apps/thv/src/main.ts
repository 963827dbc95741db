import { ThvError } from '@thv/core'
import { createContainer } from './container.ts'
import { watchExitSignals } from './exit-signal.ts'
import { exitCodes, interruptedExitCodes } from './output/exit-codes.ts'
import { createOutput } from './output/output.ts'
import { renderError } from './output/render-error.ts'
import { isThvError } from '@thv/core'

// Not awaited here: chunks that are loaded later import from the chunk this module is in,
// and would wait for a module that waits for them.
void main(process.argv.slice(2))

async function main(argv: string[]): Promise<void> {
  if (argv[0] === '__reap') {
    const { reapMain } = await import('@thv/adapters')
    process.exit(await reapMain(argv.slice(1)))
  }
  if (argv[0] === '__keyring') {
    const { keyringMain } = await import('@thv/adapters')
    process.exit(await keyringMain())
  }
  const exit = watchExitSignals()
  const container = createContainer()
  const name = supervisedName(argv, container.environment)
  if (name !== undefined) {
    const { runSupervisor } = await import('./supervisor.ts')
    const debug = ownArguments(argv).includes('--debug') || container.debugWanted
    process.exit(await runSupervisor(container, name, { debug, signal: exit.signal }))
  }
  const code = await runCommand(argv, { exit, container })
  process.exitCode = exit.outputFailed() ? 1 : code
  // A client library may keep a socket open; what was to be done is done.
  if (exit.signal.aborted) process.exit()
}

type Setup = { exit: ReturnType<typeof watchExitSignals>; container: ReturnType<typeof createContainer> }

async function runCommand(argv: string[], { exit, container }: Setup): Promise<number> {
  const output = createOutput(process, container.environment)
  let debug = container.debugWanted || ownArguments(argv).includes('--debug')
  try {
    const { parseInvocation } = await import('./program.ts')
    const invocation = parseInvocation(argv, (text) => output.raw(text))
    if (invocation?.spec.load === undefined) return 0
    debug ||= invocation.debug
    await container.checkDesktop()
    const handler = await invocation.spec.load()
    const code = await handler({ container, output, signal: exit.signal, debug }, invocation.input)
    output.settle()
    const interrupted = exit.interrupted()
    // Of several names some were done when the signal came.
    return code !== undefined && code !== 0 && interrupted !== undefined
      ? interruptedExitCodes[interrupted]
      : (code ?? 0)
  } catch (error) {
    output.settle()
    const interrupted = exit.interrupted()
    if (interrupted !== undefined && isAbort(error)) {
      output.note(renderError(new ThvError('cancelled', 'interrupted'), debug))
      return interruptedExitCodes[interrupted]
    }
    // Already told.
    if (exit.outputFailed() && isAbort(error)) return 1
    output.note(renderError(error, debug))
    return isThvError(error) ? exitCodes[error.kind] : 1
  }
}

/** Of `start NAME --foreground` in a detached process: that one needs no command line library. */
function supervisedName(argv: readonly string[], environment: Setup['container']['environment']): string | undefined {
  if (environment['TOOLHIVE_DETACHED'] !== '1') return undefined
  return argv[0] === 'start' && ownArguments(argv).includes('--foreground') ? argv[1] : undefined
}

/** What is meant for thv: behind the dashes are the arguments of a server. */
function ownArguments(argv: readonly string[]): readonly string[] {
  const dashes = argv.indexOf('--')
  return dashes < 0 ? argv : argv.slice(0, dashes)
}

/** Whether an error only says that we were asked to end; it may be wrapped in what was going on. */
function isAbort(error: unknown): boolean {
  if (!(error instanceof Error)) return false
  return error.name === 'AbortError' || error.message.startsWith('received SIG') || isAbort(error.cause)
}
