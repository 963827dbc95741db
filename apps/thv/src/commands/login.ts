import { awaitLogin, limits, logIn, parseGoDuration, ThvError } from '@thv/core'
import { tellIsLocal } from '../actions/open-actions.ts'
import type { CommandContext, CommandInput } from '../command.ts'
import { flagOption, listOption, portOption, textOption } from '../options.ts'
import { printable } from '../output/style.ts'
import { showLogin } from '../show-login.ts'

/** `thv login NAME`: a person logs in to the remote server of a workload, which goes on with it by itself. */
export async function loginCommand(context: CommandContext, input: CommandInput): Promise<void> {
  tellIsLocal(context, 'login')
  const { container, output, signal } = context
  const [name = ''] = input.args
  const scopes = scopesOption(input, 'scopes')
  const request = {
    name,
    timeoutMs: loginTimeOption(input, 'timeout', '--timeout') ?? limits.loginMs,
    callbackPort: portOption(input, 'callbackPort', '--callback-port'),
    ...(scopes.length > 0 ? { scopes } : {}),
  }
  const deps = await container.login()
  const saved = (await deps.configs.load(name))?.remote_auth_config?.skip_browser === true
  const skipsBrowser = flagOption(input, 'skipBrowser') || saved
  const done = await logIn(deps, request, async (url) => await showLogin(context, url, { skipsBrowser }), signal)
  output.settle()
  const reading = { ...(await container.reading()), clock: deps.clock }
  const { status, reason, reason_message: why } = await awaitLogin(reading, name, signal)
  if (!done.renews) output.note(`warning: ${name} got no refresh token: when its token ends, it needs another login`)
  if (textOption(input, 'format') === 'json') {
    output.json({ name, ...done, status, reason, reason_message: why })
    return
  }
  const granted = done.scopes.length === 0 ? '' : ` (${done.scopes.join(' ')})`
  output.line(printable(`Logged in to ${name} at ${done.issuer}${granted}; it is ${status}`))
  if (status !== 'running') output.note(printable(`${name} is ${status}: ${why}; see 'thv explain ${name}'`))
}

/** Scopes, one by one or in a list with commas or spaces between them. */
export function scopesOption(input: CommandInput, name: string): string[] {
  return listOption(input, name)
    .flatMap((list) => list.split(/[\s,]+/))
    .filter((scope) => scope !== '')
}

/** Time for a person; 0 is the default of `thv login`, as in ToolHive. `invalid-argument` for what is no such time. */
export function loginTimeOption(input: CommandInput, name: string, flag: string): number | undefined {
  const text = textOption(input, name)
  if (text === undefined) return undefined
  const time = text === '0' ? limits.loginMs : parseGoDuration(text) || limits.loginMs
  if (time <= limits.maxLoginMs) return time
  throw new ThvError('invalid-argument', `${flag} is at most ${limits.maxLoginMs / 60_000} minutes`, {
    hint: 'the listener for the browser is open that long',
  })
}
