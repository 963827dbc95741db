/** RFC 5424 severities as MCP spells them, most verbose first. */
export const logLevels = ['debug', 'info', 'notice', 'warning', 'error', 'critical', 'alert', 'emergency'] as const

/** One of {@link logLevels}. */
export type LogLevel = (typeof logLevels)[number]

/** Whether a value is a level. */
export function isLogLevel(value: unknown): value is LogLevel {
  return logLevels.some((level) => level === value)
}

/** Whether a message of `level` passes for someone who asked for `threshold`. */
export function passesLevel(level: LogLevel, threshold: LogLevel): boolean {
  return logLevels.indexOf(level) >= logLevels.indexOf(threshold)
}

/** The level that lets everything through that any of the given ones lets through. */
export function mostVerbose(levels: Iterable<LogLevel>): LogLevel | undefined {
  let lowest: LogLevel | undefined
  for (const level of levels) {
    if (lowest === undefined || logLevels.indexOf(level) < logLevels.indexOf(lowest)) lowest = level
  }
  return lowest
}
