import {
  awaitLogin,
  getWorkload,
  isThvError,
  limits,
  logIn,
  messageOf,
  takesLogin,
  ThvError,
  type RunConfig,
} from '@thv/core'
import type { CommandContext, CommandInput } from '../command.ts'
import { flagOption } from '../options.ts'
import { showLogin } from '../show-login.ts'

/**
 * Logs in to the server of a workload that has just been run, where it wants that and somebody is there or has asked for it.
 * The workload stays as it is when that fails; the error says how to go on.
 */
export async function logInAfterRun(context: CommandContext, input: CommandInput, config: RunConfig): Promise<void> {
  const { container, output, signal } = context
  const isAsked = flagOption(input, 'remoteAuth')
  const hasPerson = process.stdin.isTTY && process.stderr.isTTY
  if (!takesLogin(config) || (!isAsked && !hasPerson)) return
  const { status, reason } = await getWorkload(await container.reading(), config.name)
  if (status !== 'unauthenticated' || !wantsLogin.has(reason)) return
  const { name, remote_auth_config: auth } = config
  let isShown = false
  try {
    const deps = await container.login()
    const skipsBrowser = auth?.skip_browser === true
    const show = async (url: string): Promise<void> => {
      isShown = true
      await showLogin(context, url, { skipsBrowser })
    }
    const { issuer } = await logIn(deps, { name, timeoutMs: timeOf(config) }, show, signal)
    output.settle()
    const after = await awaitLogin({ ...(await container.reading()), clock: deps.clock }, name, signal)
    output.note(`logged in to ${name} at ${issuer}; it is ${after.status}`)
  } catch (error) {
    signal.throwIfAborted()
    // A server may want a token of another kind, and nobody has asked for a login.
    if (!isAsked && !isShown) return
    throw notLoggedIn(name, error)
  }
}

const wantsLogin: ReadonlySet<string> = new Set(['remote-unauthorized', 'login-needed', 'scope-missing'])

/** In nanoseconds, as Go has it; ToolHive writes 0 for none. */
function timeOf({ remote_auth_config: auth }: RunConfig): number {
  const { timeout } = auth ?? {}
  if (timeout === undefined) return limits.runLoginMs
  return timeout <= 0 ? limits.loginMs : Math.min(timeout / 1e6, limits.maxLoginMs)
}

function notLoggedIn(name: string, error: unknown): ThvError {
  const code = isThvError(error) ? error.code : 'login-failed'
  return new ThvError(code, `'${name}' was created, and is unauthenticated: ${messageOf(error)}`, {
    hint: `run 'thv login ${name}'; it goes on by itself then`,
    cause: error,
  })
}
