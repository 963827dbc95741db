/**
 * A moment as Go prints it by default (`2026-08-21 10:26:05.123 +0000 UTC`), which
 * is what scripts on ToolHive's list parse.
 */
export function goTime(rfc3339: string): string {
  const match = /^(\d{4}-\d{2}-\d{2})T(\d{2}:\d{2}:\d{2})(\.\d+)?/.exec(rfc3339)
  if (match === null) return rfc3339
  const date = new Date(rfc3339)
  if (Number.isNaN(date.getTime())) return rfc3339
  const utc = date.toISOString()
  const fraction = (match[3] ?? '').replace(/0+$/, '')
  return `${utc.slice(0, 10)} ${utc.slice(11, 19)}${fraction === '.' ? '' : fraction} +0000 UTC`
}

/** A span as ToolHive prints uptimes: `1d 2h 3m`; below a minute `42s`. */
export function formatUptime(ms: number): string {
  const minutes = Math.floor(ms / 60_000)
  if (minutes < 1) return `${Math.max(0, Math.floor(ms / 1000))}s`
  const parts: [number, string][] = [
    [Math.floor(minutes / 1440), 'd'],
    [Math.floor(minutes / 60) % 24, 'h'],
    [minutes % 60, 'm'],
  ]
  return parts
    .filter(([count]) => count > 0)
    .map(([count, unit]) => `${count}${unit}`)
    .join(' ')
}
