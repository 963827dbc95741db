import { describe, expect, it } from 'vitest'
import { mostVerbose, passesLevel } from './log-level.ts'
import { allowsBatch, negotiateRevision } from './revision.ts'

describe('negotiateRevision', () => {
  it.each([
    ['2024-11-05', '2025-11-25', '2024-11-05'],
    ['2025-11-25', '2025-11-25', '2025-11-25'],
    ['2025-11-25', '2025-03-26', '2025-03-26'],
    ['2026-07-28', '2025-11-25', '2025-11-25'],
    ['1.0', '2025-06-18', '2025-06-18'],
    [undefined, '2025-06-18', '2025-06-18'],
  ])('gives a client of %s before a server of %s the version %s', (asked, server, wanted) => {
    expect(negotiateRevision(asked, server)).toBe(wanted)
  })

  it('knows batches in 2025-03-26 only', () => {
    expect(['2024-11-05', '2025-03-26', '2025-06-18', ''].filter(allowsBatch)).toEqual(['2025-03-26'])
  })
})

describe('log levels', () => {
  it('are ordered from debug to emergency', () => {
    expect(mostVerbose(['error', 'info', 'alert'])).toBe('info')
    expect(mostVerbose([])).toBeUndefined()
    expect(passesLevel('error', 'warning')).toBe(true)
    expect(passesLevel('info', 'warning')).toBe(false)
    expect(passesLevel('info', 'info')).toBe(true)
  })
})
