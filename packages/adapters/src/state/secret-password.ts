import { randomBytes } from 'node:crypto'
import { ThvError, type PasswordKeeper } from '@thv/core'
import { stateLimits } from './state-limits.ts'

/** Who may know the password of the secret file. */
export interface PasswordSources {
  /** `TOOLHIVE_SECRETS_PASSWORD`: nobody else is asked then. */
  givenPassword?: string
  /** Asked in this order. */
  keepers: readonly PasswordKeeper[]
}

/** Who tells the password of a file that is there: each is tried, because a keeper may know that of another file. */
export async function findPassword(
  sources: PasswordSources,
  opens: (password: string) => boolean,
  signal: AbortSignal,
): Promise<string> {
  const { givenPassword, keepers } = sources
  if (givenPassword !== undefined) {
    if (opens(givenPassword)) return givenPassword
    throw passwordDenied('that of TOOLHIVE_SECRETS_PASSWORD is another one')
  }
  const findings: string[] = []
  let isKnown = false
  for (const keeper of keepers) {
    const { password, problem } = await keeper.read(signal)
    if (password !== undefined && opens(password)) return password
    isKnown ||= password !== undefined
    findings.push(`${keeper.name} ${password === undefined ? (problem ?? 'has none') : 'has another one'}`)
  }
  if (isKnown) throw passwordDenied(findings.join(', '))
  throw lockedAway('nobody knows the password of the secrets file', findings)
}

/** The password for a new file: the one that is kept, or one that is made and kept now, before anything is sealed with it. */
export async function newPassword(sources: PasswordSources, signal: AbortSignal): Promise<string> {
  const { givenPassword, keepers } = sources
  if (givenPassword !== undefined) return givenPassword
  for (const keeper of keepers) {
    const { password } = await keeper.read(signal)
    if (password !== undefined) return password
  }
  const made = randomBytes(stateLimits.secretPasswordBytes).toString('base64url')
  await keepPassword(sources, made, signal)
  return made
}

/** Gives it to the first keeper that can keep it. */
export async function keepPassword({ keepers }: PasswordSources, password: string, signal: AbortSignal): Promise<void> {
  for (const keeper of keepers) if (await keeper.keep(password, signal)) return
  const findings = keepers.map(({ name }) => `${name} cannot`)
  throw lockedAway('no place of this machine can keep the password of the secrets file', findings)
}

/** Takes it away from every keeper; resolves to whether one had it. */
export async function forgetPassword({ keepers }: PasswordSources, signal: AbortSignal): Promise<boolean> {
  let wasKept = false
  for (const keeper of keepers) wasKept = (await keeper.forget(signal)) || wasKept
  return wasKept
}

/** Says that a password opens nothing. */
export function passwordDenied(why: string): ThvError {
  // ToolHive's words in front (spec/local 9.2): tools match on them.
  return new ThvError('secrets-denied', `unable to decrypt secrets file: wrong password, or a damaged file (${why})`, {
    hint: "give the right password in TOOLHIVE_SECRETS_PASSWORD, or to 'thv secret setup'; nothing was changed",
  })
}

function lockedAway(what: string, findings: readonly string[]): ThvError {
  const found = findings.length === 0 ? '' : ` (${findings.join(', ')})`
  return new ThvError('secrets-locked-away', `${what}${found}`, {
    hint: "set TOOLHIVE_SECRETS_PASSWORD, or run 'thv secret setup' on a terminal",
  })
}
