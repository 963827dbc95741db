import { readFileSync } from 'node:fs'
import { expect, it } from 'vitest'
import { pagePath, renderPage } from '../tools/state-diagram.mjs'

it("the state diagram in docs/remote.md is what the table says ('node tools/state-diagram.mjs' writes it)", () => {
  const text = readFileSync(pagePath, 'utf8')
  expect(text).toBe(renderPage(text))
  expect(text).toContain('starting --> running : ready')
}, 60_000)
