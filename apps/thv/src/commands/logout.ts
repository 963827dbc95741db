import { logOut } from '@thv/core'
import { tellIsLocal } from '../actions/open-actions.ts'
import type { CommandContext, CommandInput } from '../command.ts'
import { textOption } from '../options.ts'

/** `thv logout NAME`: forgets a login, here and at the authorization server. */
export async function logoutCommand(context: CommandContext, input: CommandInput): Promise<void> {
  tellIsLocal(context, 'logout')
  const { container, output, signal } = context
  const [name = ''] = input.args
  const { wasLoggedIn, problem, others } = await logOut(await container.login(), name, signal)
  if (problem !== undefined) {
    output.note(`warning: the authorization server could not be told, and what it gave out ends by itself: ${problem}`)
  }
  if (others.length > 0 && wasLoggedIn) output.note(`note: ${others.join(', ')} shared this login, and lost it too`)
  if (textOption(input, 'format') === 'json') output.json({ name, wasLoggedIn, others })
  else output.line(wasLoggedIn ? `Logged out of ${name}` : `${name} was not logged in`)
}
