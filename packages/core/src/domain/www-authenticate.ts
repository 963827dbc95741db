import { limits } from '../limits.ts'

/** One way to log in that an answer 401 or 403 offers: RFC 9110 11.6.1. */
export interface Challenge {
  /** In lower case. */
  scheme: string
  /** The form of Negotiate and others; then there are no parameters. */
  token68?: string
  /** By their names in lower case; of a name that is there twice, the first. */
  parameters: ReadonlyMap<string, string>
}

/**
 * Reads all challenges of a `WWW-Authenticate` header. Reading ends where the text is not as RFC 9110 has it, so that
 * nothing is read out of garbage; what came before stays. A header above the limit has none.
 */
export function parseChallenges(header: string): Challenge[] {
  if (header.length > limits.challengeLength) return []
  const challenges: Challenge[] = []
  let position = skip(header, 0, /[\s,]*/y)
  while (position < header.length) {
    const name = read(header, position, scheme)
    if (name === undefined) break
    const { challenge, end, isBroken } = readParameters(header, skip(header, position + name.length, /[ \t]*/y))
    challenges.push({ scheme: name.toLowerCase(), ...challenge })
    if (isBroken) break
    position = skip(header, end, /[\s,]*/y)
  }
  return challenges
}

interface Parameters {
  challenge: Omit<Challenge, 'scheme'>
  end: number
  isBroken: boolean
}

const token = /[!#$%&'*+.^_`|~0-9A-Za-z-]+/y
const scheme = /[!#$%&'*+.^_`|~0-9A-Za-z-]+(?=[ \t,]|$)/y
const token68 = /[A-Za-z0-9._~+/-]+=*(?=[ \t]*(?:,|$))/y
const quoted = /"(?:[^"\\]|\\[\s\S])*"/y

/** Reads up to the next scheme: a name without `=` behind it. */
function readParameters(header: string, start: number): Parameters {
  const parameters = new Map<string, string>()
  const blob = read(header, start, token68)
  if (blob !== undefined) return { challenge: { token68: blob, parameters }, end: start + blob.length, isBroken: false }
  let position = skip(header, start, /[\s,]*/y)
  while (position < header.length) {
    const found = parameterAt(header, position)
    if (found === undefined) {
      return { challenge: { parameters }, end: position, isBroken: read(header, position, scheme) === undefined }
    }
    if (!parameters.has(found.name)) parameters.set(found.name, found.value)
    const end = skip(header, found.end, /[ \t]*/y)
    if (end < header.length && header[end] !== ',') return { challenge: { parameters }, end, isBroken: true }
    position = skip(header, end, /[\s,]*/y)
  }
  return { challenge: { parameters }, end: position, isBroken: false }
}

function parameterAt(header: string, start: number): { name: string; value: string; end: number } | undefined {
  const name = read(header, start, token)
  if (name === undefined) return undefined
  const equals = read(header, start + name.length, /[ \t]*=[ \t]*/y)
  if (equals === undefined) return undefined
  const at = start + name.length + equals.length
  const plain = read(header, at, token)
  if (plain !== undefined) return { name: name.toLowerCase(), value: plain, end: at + plain.length }
  const text = read(header, at, quoted)
  if (text === undefined) return undefined
  return { name: name.toLowerCase(), value: text.slice(1, -1).replace(/\\([\s\S])/g, '$1'), end: at + text.length }
}

function read(header: string, position: number, pattern: RegExp): string | undefined {
  pattern.lastIndex = position
  return pattern.exec(header)?.[0]
}

function skip(header: string, position: number, pattern: RegExp): number {
  return position + (read(header, position, pattern)?.length ?? 0)
}
