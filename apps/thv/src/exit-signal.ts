import { setMaxListeners } from 'node:events'

/** How the process was asked to end. */
export interface ExitSignal {
  signal: AbortSignal
  /** Whether a signal (and not the end of our parent) asked. */
  interrupted(): boolean
}

/** Signals that ask for an orderly end. */
const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const

/**
 * Turns the first of SIGINT, SIGTERM or SIGHUP into an abort. A second Ctrl-C ends
 * the process at once (the guard of a server still ends its tree). A parent that
 * gave us an IPC channel and dies counts as a signal too.
 */
export function watchExitSignals(): ExitSignal {
  const controller = new AbortController()
  // Many waits of one command share it; that is no leak.
  setMaxListeners(0, controller.signal)
  let seen = 0
  const ask = (name: string): void => {
    seen += 1
    if (seen > 1 && name === 'SIGINT') process.exit(130)
    controller.abort(new Error(`received ${name}`))
  }
  for (const name of signals) process.on(name, ask)
  for (const stream of [process.stdout, process.stderr]) {
    stream.on('error', (error: NodeJS.ErrnoException) => {
      // The reader has gone (`| head`): nothing is left to say, and following a log has no end otherwise.
      if (error.code === 'EPIPE') controller.abort(new Error('the output was closed'))
    })
  }
  if (process.connected) {
    process.on('disconnect', () => {
      controller.abort(new Error('the parent process is gone'))
    })
  }
  return { signal: controller.signal, interrupted: () => seen > 0 }
}
