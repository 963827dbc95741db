import { expect, it } from 'vitest'
import { createBuildLeftovers } from './build-leftovers.ts'
import type { EngineClient } from './engine-client.ts'

const [base, cached, made, last] = ['a'.repeat(12), 'b'.repeat(12), 'c'.repeat(12), 'd'.repeat(12)]

async function removedAfter(lines: readonly string[], unnamed: readonly string[]): Promise<string[]> {
  const leftovers = createBuildLeftovers()
  for (const line of lines) leftovers.see(line)
  const removed: string[] = []
  const engine: Pick<EngineClient, 'listUnnamedImages' | 'removeImage'> = {
    listUnnamedImages: async () => unnamed.map((id) => `sha256:${id.padEnd(64, '0')}`),
    removeImage: async (id) => void removed.push(id.slice('sha256:'.length, 'sha256:'.length + 12)),
  }
  // eslint-disable-next-line typescript/no-unsafe-type-assertion -- the class has private members; these two are used
  await leftovers.remove(engine as EngineClient)
  return removed
}

it('only what a build has made itself, and nobody has named or builds on, is removed', async () => {
  const lines = [
    'Step 1/4 : FROM node:24-alpine AS builder',
    ` ---> ${base}`,
    'Step 2/4 : RUN apk add git',
    ' ---> Using cache',
    ` ---> ${cached}`,
    'Step 3/4 : RUN npm install',
    ' ---> Running in 0123456789ab',
    ` ---> ${made}`,
    'Step 4/4 : RUN fail',
    ` ---> ${last}`,
  ]
  expect(await removedAfter(lines, [base, cached, made])).toEqual([made])
})
