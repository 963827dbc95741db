import { describe, expect, it } from 'vitest'
import * as darwin from './darwin.ts'
import * as linux from './linux.ts'
import * as windows from './windows.ts'

const stat = (comm: string, state = 'S') =>
  `4242 (${comm}) ${state} 17 4240 4239 34816 4242 4194304 1 2 3 4 5 6 7 8 20 0 11 0 987654 1000 200 18446744073709551615 1 1 0\n`

describe('a Linux stat line', () => {
  it.each(['node', 'a b', 'a) S 1 1', '((x))', ') (', ''])(
    'of a program named "%s" is counted from its last parenthesis',
    (comm) => {
      expect(linux.parseStat(stat(comm), 'abcd1234')).toEqual({
        pid: 4242,
        parent: 17,
        group: 4240,
        started: 'abcd1234:987654',
        dead: false,
        marked: false,
      })
    },
  )

  it('of a zombie is dead', () => {
    expect(linux.parseStat(stat('x', 'Z'), 'b')?.dead).toBe(true)
    expect(linux.parseStat(stat('x', 'X'), 'b')?.dead).toBe(true)
    expect(linux.parseStat(stat('x', 'D'), 'b')?.dead).toBe(false)
  })

  it.each(['', '12', '12 (x', '12 (x) S', 'x (y) S 1 2 3'])('that is none ("%s") is nothing', (text) => {
    expect(linux.parseStat(text, 'b')).toBeUndefined()
  })
})

describe('a Linux environment', () => {
  const environ = Buffer.from('A=1\0XTHV_M=abc\0THV_M=abcd\0THV_M=abc\0')
  it('has a variable only as a whole', () => {
    expect(linux.hasVariable(environ, 'THV_M=abc')).toBe(true)
    expect(linux.hasVariable(environ, 'A=1')).toBe(true)
    expect(linux.hasVariable(environ, 'THV_M=ab')).toBe(false)
    expect(linux.hasVariable(Buffer.from('XTHV_M=abc\0THV_M=abcd\0'), 'THV_M=abc')).toBe(false)
    expect(linux.hasVariable(Buffer.alloc(0), 'A=1')).toBe(false)
  })
})

describe('a macOS process list', () => {
  // Recorded shape of `LC_ALL=C TZ=UTC ps -axEww -o pid=,ppid=,pgid=,stat=,lstart=,command=`.
  const text = `    1     0     1 Ss   Mon Nov  3 08:12:44 2025     /sbin/launchd
  501     1   501 S    Tue Nov 18 09:00:01 2025     /usr/local/bin/node server.js --flag HOME=/Users/a THV_WORKLOAD_MARKER=aa11 TMPDIR=/t
  502   501   501 Z    Tue Nov 18 09:00:02 2025     (node)
  503   501   503 S+   Tue Nov 18 09:00:02 2025     /bin/sleep 60 THV_WORKLOAD_MARKER=aa112
not a row
`
  it('gives numbers, a start token without blanks, the dead and the marked', () => {
    expect(darwin.parseList(text, 'THV_WORKLOAD_MARKER=aa11')).toEqual([
      { pid: 1, parent: 0, group: 1, started: 'Mon-Nov-3-08:12:44-2025', dead: false, marked: false },
      { pid: 501, parent: 1, group: 501, started: 'Tue-Nov-18-09:00:01-2025', dead: false, marked: true },
      { pid: 502, parent: 501, group: 501, started: 'Tue-Nov-18-09:00:02-2025', dead: true, marked: false },
      { pid: 503, parent: 501, group: 503, started: 'Tue-Nov-18-09:00:02-2025', dead: false, marked: false },
    ])
  })

  it('without the command column gives the same tokens', () => {
    expect(darwin.parseList('  501     1   501 S    Tue Nov 18 09:00:01 2025    \n', undefined)[0]?.started).toBe(
      'Tue-Nov-18-09:00:01-2025',
    )
  })

  it('is asked for in one language and time zone', () => {
    expect(darwin.identifyCommand(7)).toMatchObject({
      args: ['-o', 'pid=,ppid=,pgid=,stat=,lstart=', '-p', '7'],
      environment: { LC_ALL: 'C', TZ: 'UTC' },
    })
    expect(darwin.listCommand(true).args[0]).toBe('-axEww')
    expect(darwin.listCommand(false).args[0]).toBe('-ax')
  })
})

describe('a Windows process list', () => {
  it('is tab separated rows of number, parent and start', () => {
    expect(windows.parseList('0\t0\t\r\n4\t0\t133770000000000000\r\n812\t4\t133770000012345678\r\nnoise\r\n')).toEqual([
      { pid: 4, parent: 0, group: 0, started: '133770000000000000', dead: false, marked: false },
      { pid: 812, parent: 4, group: 0, started: '133770000012345678', dead: false, marked: false },
    ])
  })

  it('ends trees with taskkill', () => {
    expect(windows.killTreeCommand('C:\\Windows', 812)).toMatchObject({
      file: 'C:\\Windows\\System32\\taskkill.exe',
      args: ['/PID', '812', '/T', '/F'],
    })
  })
})
