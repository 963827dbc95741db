import { expect, it } from 'vitest'
import { createUserFiles } from '../user-files.ts'
import { readEnvironment } from './read-environment.ts'

it('keeps a variable whatever its name', async () => {
  const signal = new AbortController().signal
  const input = { directory: undefined, file: undefined, values: ['__proto__=1', 'toString=2'], signal }
  const found = await readEnvironment(createUserFiles(), input)
  expect(Object.entries(found)).toEqual([
    ['__proto__', '1'],
    ['toString', '2'],
  ])
})
