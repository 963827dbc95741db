import { readFile } from 'node:fs/promises'

/** What a process uses: resident memory, its proportional part of what is shared, and the CPU time so far. */
export interface Usage {
  rssMb: number
  pssMb: number
  cpuMs: number
}

/** Of a living process, from `/proc`; rejects when there is none. */
export async function usageOf(pid: number): Promise<Usage> {
  const [rollup, stat] = await Promise.all(
    ['smaps_rollup', 'stat'].map(async (file) => await readFile(`/proc/${pid}/${file}`, 'utf8')),
  )
  const kilobytes = (key: string): number => Number(new RegExp(`^${key}:\\s+(\\d+)`, 'm').exec(rollup ?? '')?.[1])
  // Behind the name in brackets, which may hold anything: fields 14 and 15 of proc(5), in ticks of 10 ms.
  const fields = (stat ?? '').slice((stat ?? '').lastIndexOf(')') + 2).split(' ')
  return {
    rssMb: kilobytes('Rss') / 1024,
    pssMb: kilobytes('Pss') / 1024,
    cpuMs: (Number(fields[11]) + Number(fields[12])) * 10,
  }
}
