import { describe, expect, it } from 'vitest'
import { findTree } from './find-tree.ts'
import type { ProcessEntry } from './platform/process-entry.ts'

const server = { pid: 100, started: 't100', group: 100, marker: 'm' }

function entry(pid: number, parent: number, group: number, more: Partial<ProcessEntry> = {}): ProcessEntry {
  return { pid, parent, group, started: `t${pid}`, dead: false, marked: false, ...more }
}

function pids(entries: ProcessEntry[], options: { self: number; groupIsOurs?: boolean } = { self: 50 }): number[] {
  return findTree(entries, server, options)
    .map((one) => one.pid)
    .sort((a, b) => a - b)
}

describe('the tree of a server', () => {
  it('is its group, the marked, and the descendants of both', () => {
    const entries = [
      entry(1, 0, 1),
      entry(50, 1, 50),
      entry(100, 50, 100),
      entry(101, 100, 100),
      entry(102, 101, 102),
      entry(200, 1, 200, { marked: true }),
      entry(201, 200, 201),
      entry(300, 50, 300),
    ]
    expect(pids(entries)).toEqual([100, 101, 102, 200, 201])
  })

  it('is not a later process with the same number, nor its group', () => {
    expect(pids([entry(100, 1, 100, { started: 'later' }), entry(101, 100, 100)])).toEqual([])
  })

  it('is what is left of its group when a member carries the marker', () => {
    expect(pids([entry(101, 1, 100, { marked: true }), entry(102, 1, 100)])).toEqual([101, 102])
  })

  it('is not an unmarked group without its leader, unless the caller knows better', () => {
    const entries = [entry(101, 1, 100)]
    expect(pids(entries)).toEqual([])
    expect(pids(entries, { self: 50, groupIsOurs: true })).toEqual([101])
  })

  it('never holds the asking process, pid 1 or the dead', () => {
    const entries = [
      entry(1, 0, 1, { marked: true }),
      entry(50, 100, 100, { marked: true }),
      entry(51, 50, 50),
      entry(100, 1, 100),
      entry(101, 100, 100, { dead: true }),
    ]
    expect(pids(entries)).toEqual([100])
  })

  it('is found below a dead member too', () => {
    expect(pids([entry(100, 1, 100, { dead: true }), entry(101, 100, 101)])).toEqual([101])
  })

  it('without a group number is not group 0', () => {
    const found = findTree([entry(7, 1, 0)], { ...server, group: 0 }, { self: 50, groupIsOurs: true })
    expect(found).toEqual([])
  })

  it('ends for parents that form a circle', () => {
    expect(pids([entry(100, 101, 100), entry(101, 100, 100)])).toEqual([100, 101])
  })
})
