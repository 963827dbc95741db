import { ThvError } from '../errors.ts'
import { limits } from '../limits.ts'

/** A secret, and what gets its value: a variable of the server, or `bearer_token`. */
export interface SecretParameter {
  name: string
  target: string
}

/** What stands in front of the names of thv's own secrets: spec/local 9.3. */
const systemPrefix = '__thv_'

/** In front of the names under which tokens of remote servers are kept: spec/local 9.3. */
export const bearerTokenPrefix = 'BEARER_TOKEN_'

/** What ToolHive calls the use of a token. */
export const bearerTokenTarget = 'bearer_token'

/** Whether a secret is thv's own: users neither see nor change it. */
export function isSystemSecret(name: string): boolean {
  return name.startsWith(systemPrefix)
}

/** The name under which the store has a secret that belongs to workloads. */
export function workloadSecretName(name: string): string {
  return `${systemPrefix}workloads_${name}`
}

/** Whose secret of ours it is (`workloads`, `registry`, …), and its name there; undefined for one of a user. */
export function parseSystemSecret(name: string): { scope: string; name: string } | undefined {
  const [, scope, rest] = /^__thv_([a-z]+)_(.+)$/su.exec(name) ?? []
  return scope === undefined || rest === undefined ? undefined : { scope, name: rest }
}

/** Throws `invalid-argument` for what users may not name a secret. */
export function assertUserSecretName(name: string): void {
  if (isSystemSecret(name)) {
    // Tools match on this sentence: spec/local 9.3.
    throw refused(
      'secret name is reserved for system use and cannot be managed via user commands',
      'choose another name',
    )
  }
  if (name.length > limits.secretNameLength) throw refused('the name of the secret is too long', 'choose a shorter one')
  if (!/^[^,\p{Cc}]+$/u.test(name)) {
    throw refused('the name of the secret is empty, or has a comma or a control character', 'choose another name')
  }
}

/** Reads `NAME,target=TARGET`: spec/local 9.4. Throws `invalid-argument`; what was typed may be a value and is not repeated. */
export function parseSecretParameter(text: string): SecretParameter {
  const [, name, target] = /^([^,]+),target=(.+)$/su.exec(text) ?? []
  if (name === undefined || target === undefined) {
    throw refused('invalid secret parameter format', 'write it as NAME,target=VARIABLE')
  }
  assertUserSecretName(name)
  return { name, target }
}

/** Reads one whose target is a variable of a server. Throws `invalid-argument`. */
export function parseServerSecret(text: string): SecretParameter {
  const parameter = parseSecretParameter(text)
  if (/^[A-Za-z_][A-Za-z0-9_]*$/.test(parameter.target)) return parameter
  throw refused(
    `the target of the secret '${parameter.name}' is no name of a variable`,
    'write it as NAME,target=VARIABLE',
  )
}

/** The counterpart of {@link parseSecretParameter}. */
export function formatSecretParameter({ name, target }: SecretParameter): string {
  return `${name},target=${target}`
}

function refused(why: string, hint: string): ThvError {
  return new ThvError('invalid-argument', why, { hint })
}
