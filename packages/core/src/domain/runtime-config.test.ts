import { describe, expect, it } from 'vitest'
import { mergeRuntimeConfig, parseRuntimeConfig } from './runtime-config.ts'

describe('a runtime config', () => {
  it('over another replaces the image and build_with, and adds packages and variables', () => {
    const base = {
      builder_image: 'node:24-alpine',
      additional_packages: ['git', 'jq'],
      build_with: ['a<2'],
      runtime_env: { A: '1', B: '1' },
    }
    expect(
      mergeRuntimeConfig(base, {
        builder_image: 'node:22-alpine',
        additional_packages: ['jq', 'curl'],
        build_with: ['b'],
        runtime_env: { B: '2' },
      }),
    ).toEqual({
      builder_image: 'node:22-alpine',
      additional_packages: ['git', 'jq', 'curl'],
      build_with: ['b'],
      runtime_env: { A: '1', B: '2' },
    })
    expect(mergeRuntimeConfig(base, {})).toEqual(base)
    expect(mergeRuntimeConfig({}, {})).toEqual({})
  })

  it('has texts only; empty and null are as if left out', () => {
    expect(parseRuntimeConfig({ builder_image: '', additional_packages: null, build_with: ['x'] }, 'it')).toEqual({
      build_with: ['x'],
    })
    for (const wrong of [[], 'x', { builder_image: 1 }, { build_with: [1] }, { runtime_env: ['A'] }]) {
      expect(() => parseRuntimeConfig(wrong, 'it')).toThrow('cannot be read')
    }
  })
})
