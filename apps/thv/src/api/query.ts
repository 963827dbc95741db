import { z } from 'zod'

const flags: Readonly<Record<string, boolean>> = { true: true, '1': true, false: false, '0': false, '': false }

/** A query parameter that is on or off. */
export function flagParameter(description: string) {
  const read = z.enum(Object.keys(flags), { error: 'is not true or false' }).transform((text) => flags[text] === true)
  // The document says what a client means, not how it is spelled.
  return read.optional().meta({ description, type: 'boolean', enum: undefined })
}

/** A query parameter that is a text; an empty one says nothing. */
export function textParameter(description: string) {
  const read = z.string().transform((text) => (text === '' ? undefined : text))
  return read.optional().meta({ description })
}

/** A query parameter that is a whole number from 1 (or `min`) to `max`. */
export function countParameter(description: string, { min = 1, max }: { min?: number; max: number }) {
  const error = `is not a whole number from ${min} to ${max}`
  const read = z
    .string()
    .regex(/^\d{1,16}$/, { error })
    .transform(Number)
    .pipe(z.int({ error }).min(min, { error }).max(max, { error }))
  return read.optional().meta({ description, type: 'integer', pattern: undefined })
}
