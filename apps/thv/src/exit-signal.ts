import { setMaxListeners } from 'node:events'
import { ThvError } from '@thv/core'
import { endSignals, interruptedExitCodes, type EndSignal } from './output/exit-codes.ts'
import { renderError } from './output/render-error.ts'

/** How the process was asked to end. */
export interface ExitSignal {
  signal: AbortSignal
  /** The signal that asked first; undefined when none did (the end of our parent is none). */
  interrupted(): EndSignal | undefined
  /** Whether standard output could not be written: whoever reads it lacks a part. */
  outputFailed(): boolean
}

/**
 * Turns the first of SIGINT, SIGTERM or SIGHUP into an abort. A second Ctrl-C ends
 * the process at once (the guard of a server still ends its tree). A parent that
 * gave us an IPC channel and dies counts as a signal too.
 */
export function watchExitSignals(): ExitSignal {
  const controller = new AbortController()
  // Many waits of one command share it; that is no leak.
  setMaxListeners(0, controller.signal)
  let first: EndSignal | undefined
  for (const name of endSignals) {
    process.on(name, () => {
      if (first !== undefined && name === 'SIGINT') process.exit(interruptedExitCodes.SIGINT)
      first ??= name
      controller.abort(new Error(`received ${name}`))
    })
  }
  const outputFailed = watchOutput(controller)
  if (process.connected) {
    process.on('disconnect', () => {
      controller.abort(new Error('the parent process is gone'))
    })
  }
  return { signal: controller.signal, interrupted: () => first, outputFailed }
}

function watchOutput(controller: AbortController): () => boolean {
  let failed = false
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    // The reader has gone (`| head`): nothing is left to say, and following a log has no end otherwise.
    if (error.code === 'EPIPE') controller.abort(new Error('the output was closed'))
    else if (!failed) {
      failed = true
      // The command may be over already: writes fail late.
      process.exitCode = 1
      process.stderr.write(`${renderError(unwritable(error), false)}\n`)
      const reason = new Error('the output cannot be written')
      reason.name = 'AbortError'
      controller.abort(reason)
    }
  })
  process.stderr.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') controller.abort(new Error('the output was closed'))
  })
  return () => failed
}

function unwritable(error: NodeJS.ErrnoException): ThvError {
  const code = error.code === 'ENOSPC' ? 'state-full' : 'state-failed'
  return new ThvError(code, `standard output cannot be written: ${error.message}`, {
    hint: 'check where it goes; what was written is not complete',
    cause: error,
  })
}
