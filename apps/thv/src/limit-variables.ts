import { ThvError } from '@thv/core'
import type { Container } from './container.ts'

const prefix = 'THV_LIMIT_'

/**
 * The limits of the proxy that the environment overrides: `THV_LIMIT_BODY_BYTES=1048576`.
 * Throws `invalid-argument` for a variable that names no limit, with all that do, and for
 * what is not a whole number from 1 to 2^31 - 1. Loads the proxy only if there is one.
 */
export async function readLimitVariables(environment: Container['environment']): Promise<Record<string, number>> {
  const given = Object.entries(environment).filter(([name, text]) => name.startsWith(prefix) && text !== '')
  if (given.length === 0) return {}
  const { proxyLimits } = await import('@thv/proxy')
  const names = new Map(Object.keys(proxyLimits).map((name) => [limitVariable(name), name]))
  const found: Record<string, number> = {}
  for (const [variable, text] of given) {
    const name = names.get(variable)
    if (name === undefined) {
      throw new ThvError('invalid-argument', `there is no limit for ${variable}`, {
        hint: `unset it, or use one of ${[...names.keys()].join(', ')}`,
      })
    }
    const value = Number(text)
    if (!/^\d+$/.test(text ?? '') || value < 1 || value > largest) {
      throw new ThvError('invalid-argument', `${variable} is not a whole number from 1 to ${largest}`, {
        hint: 'unset it, or give it a number: times are milliseconds, sizes bytes (docs/limits.md)',
      })
    }
    found[name] = value
  }
  return found
}

/** The variable that overrides a limit: `bodyBytes` has `THV_LIMIT_BODY_BYTES`. */
export function limitVariable(name: string): string {
  return prefix + name.replace(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase()
}

const largest = 2 ** 31 - 1
