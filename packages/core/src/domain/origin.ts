import { ThvError } from '../errors.ts'

/** Throws `invalid-argument` unless a text is what browsers send as Origin: `scheme://host[:port]`. */
export function assertOrigin(text: string): void {
  if (/^[a-z][a-z0-9+.-]*:\/\/[^/?#@\s*]+\/?$/i.test(text)) return
  throw new ThvError('invalid-argument', `'${text}' is not an origin`, {
    hint: 'write it as browsers send it, as in http://localhost:6274; patterns are not supported',
  })
}
