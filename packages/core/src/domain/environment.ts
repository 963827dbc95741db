import { ThvError } from '../errors.ts'

const variableName = /^[A-Za-z_][A-Za-z0-9_]*$/

/** Parses one `KEY=VALUE`. Throws `invalid-argument` without repeating the value. */
export function parseEnvironmentVariable(text: string): [key: string, value: string] {
  const equals = text.indexOf('=')
  const key = equals < 0 ? text : text.slice(0, equals)
  // The value may be a secret, so the message never repeats it.
  if (equals > 0 && variableName.test(key) && !text.includes('\0')) return [key, text.slice(equals + 1)]
  const shown = variableName.test(key) ? `'${key}'` : 'an entry'
  throw new ThvError('invalid-argument', `${shown} of the environment is not of the form KEY=VALUE`, {
    hint: 'write --env KEY=VALUE; names have letters, digits and underscores',
  })
}

/**
 * Parses an environment file: `KEY=VALUE` lines, `#` comments, an optional
 * `export ` in front, no quote processing (spec/local 3.6).
 */
export function parseEnvironmentFile(text: string): Record<string, string> {
  const variables: Record<string, string> = {}
  for (const line of text.split(/\r?\n/)) {
    const entry = line.trim()
    if (entry === '' || entry.startsWith('#')) continue
    const [key, value] = parseEnvironmentVariable(entry.replace(/^export\s+/, ''))
    variables[key.trim()] = value
  }
  return variables
}
