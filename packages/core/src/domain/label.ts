import { ThvError } from '../errors.ts'

const namePart = /^[A-Za-z0-9](?:[A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$/
const prefixPart = /^[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?$/

/**
 * Parses `key=value` by the rules of Kubernetes labels (prefix up to 253
 * characters, name and value up to 63). Throws `invalid-argument`.
 */
export function parseLabel(text: string): [key: string, value: string] {
  const equals = text.indexOf('=')
  const key = equals < 0 ? text : text.slice(0, equals)
  const value = equals < 0 ? '' : text.slice(equals + 1)
  const slash = key.indexOf('/')
  const prefix = slash < 0 ? undefined : key.slice(0, slash)
  const name = slash < 0 ? key : key.slice(slash + 1)
  const prefixOk = prefix === undefined || (prefix.length <= 253 && prefixPart.test(prefix))
  if (equals > 0 && prefixOk && namePart.test(name) && (value === '' || namePart.test(value))) return [key, value]
  throw new ThvError('invalid-argument', `'${text}' is not a label`, {
    hint: "write key=value with letters, digits, '.', '_' and '-', at most 63 characters each",
  })
}

/** Whether all wanted labels are there with the wanted values. */
export function matchesLabels(labels: Record<string, string>, wanted: readonly [string, string][]): boolean {
  return wanted.every(([key, value]) => labels[key] === value)
}
