import { existsSync, readFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { compareOpenApi, type Json } from './compare-openapi.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))
const contractPath = process.env['THV_CONTRACT_OPENAPI'] ?? resolve(root, '..', 'shared', 'contract', 'openapi.json')

interface Listed {
  /** Lines, in which `*` stands for any text. */
  match: string[]
  reason: string
}

describe("ToolHive's API", () => {
  it('is ours, but for the differences that are listed with their reasons', (context) => {
    if (!existsSync(contractPath)) {
      const how = 'it is no part of the repository; THV_CONTRACT_OPENAPI names a copy'
      context.skip(`the contract is not at ${join('..', 'shared', 'contract', 'openapi.json')}: ${how}`)
    }
    const ours = readJson<Json>(join(root, 'docs', 'reference', 'openapi.json'))
    const listed = readJson<Listed[]>(join(dirname(fileURLToPath(import.meta.url)), 'differences.json'))
    const found = compareOpenApi(ours, readJson<Json>(contractPath))
    const patterns = listed.flatMap(({ match }) => match).map((line) => ({ line, pattern: patternOf(line) }))
    expect(found.filter((line) => !patterns.some(({ pattern }) => pattern.test(line)))).toEqual([])
    const gone = patterns.filter(({ pattern }) => !found.some((line) => pattern.test(line)))
    expect(gone.map(({ line }) => line)).toEqual([])
    expect(listed.filter(({ reason }) => reason === '')).toEqual([])
  })
})

function patternOf(line: string): RegExp {
  const parts = line.split('*').map((part) => part.replace(/[\\^$.+?()[\]{}|]/g, '\\$&'))
  return new RegExp(`^${parts.join('.*')}$`)
}

/** Trusts the shape: a wrong one shows in what is compared. */
function readJson<T>(path: string): T {
  const value: T = JSON.parse(readFileSync(path, 'utf8'))
  return value
}
