import { setTimeout as delay } from 'node:timers/promises'
import {
  normal,
  status,
  type Behaviour,
  type ScriptedRemote,
} from '../../packages/runner/src/fixtures/scripted-remote.ts'

/** One way to be, and what the status says of it. */
interface Turn {
  readonly begin: (remote: ScriptedRemote) => Promise<void> | void
  readonly end: (remote: ScriptedRemote) => Promise<void> | void
  readonly status: string
  readonly reason: string
}

/** What was true from a moment on. */
export interface Truth {
  readonly fromMs: number
  readonly status: string
  readonly reason: string
}

/** Good and bad times of one remote server. */
export interface OutageScript {
  /** Plays it to its end. */
  play: () => Promise<void>
  /** What has happened, oldest first; times of `performance.now()`. */
  readonly truths: Truth[]
}

/** Plans one: up for a while, then down in one of many ways. Every wait is random between the two lengths given. */
export function planOutages(
  remote: ScriptedRemote,
  {
    random,
    totalMs,
    shortestMs,
    longestMs,
  }: Record<'totalMs' | 'shortestMs' | 'longestMs', number> & {
    random: () => number
  },
): OutageScript {
  const truths: Truth[] = []
  const lengthMs = (): number => shortestMs + random() * (longestMs - shortestMs)
  const say = (word: string, reason: string): void =>
    void truths.push({ fromMs: performance.now(), status: word, reason })
  return {
    truths,
    play: async () => {
      const untilMs = performance.now() + totalMs
      say('running', 'serving')
      while (performance.now() < untilMs) {
        await delay(lengthMs())
        const turn = turns[Math.floor(random() * turns.length)]
        if (turn === undefined) break
        await turn.begin(remote)
        say(turn.status, turn.reason)
        await delay(lengthMs())
        // Some come back as another process, which knows nobody.
        if (random() < 0.5) remote.sessions.clear()
        await turn.end(remote)
        say('running', 'serving')
      }
    },
  }
}

/** The same numbers in every run: mulberry32. */
export function seeded(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }
}

function behaving(behaviour: Behaviour, word: string, reason: string): Turn {
  return {
    begin: (remote) => void (remote.behave = behaviour),
    end: (remote) => void (remote.behave = normal),
    status: word,
    reason,
  }
}

const cuts: Behaviour = (req) => {
  req.socket.destroy()
  return true
}

const turns: readonly Turn[] = [
  behaving(status(500), 'unhealthy', 'remote-server-error'),
  behaving(status(503), 'unhealthy', 'remote-server-error'),
  behaving(status(429), 'unhealthy', 'remote-rate-limited'),
  behaving(status(200, { 'content-type': 'text/html' }, '<p>hello</p>'), 'unhealthy', 'remote-not-mcp'),
  behaving(status(302, { location: 'https://elsewhere.test/' }), 'unhealthy', 'remote-redirects'),
  behaving(cuts, 'unhealthy', 'remote-cut'),
  behaving(() => true, 'unhealthy', 'remote-timeout'),
  behaving(status(401), 'unauthenticated', 'remote-unauthorized'),
  behaving(status(403), 'unauthenticated', 'remote-forbidden'),
  behaving(status(404), 'unhealthy', 'remote-not-mcp'),
  {
    begin: async (remote) => await remote.down(),
    end: async (remote) => await remote.up(),
    status: 'unhealthy',
    reason: 'remote-refused',
  },
]
