import { messageOf } from '../errors.ts'

/** What a check throws, as one list of problems wants it; undefined when it passes. */
export function thrownBy(check: () => unknown): string | undefined {
  try {
    check()
    return undefined
  } catch (error) {
    return messageOf(error)
  }
}
