import { readFileSync } from 'node:fs'
import { expect, it } from 'vitest'
import { documentPath, renderDocument } from '../tools/openapi.mjs'

it("the committed OpenAPI document is what the sources make ('node tools/openapi.mjs' writes it)", () => {
  expect(readFileSync(documentPath, 'utf8')).toBe(renderDocument())
}, 60_000)
