/** One log record as ToolHive writes it (Go's slog as JSON): spec/local 0.4. */
export function slogLine(level: string, message: string, fields: Record<string, unknown> = {}): string {
  return `${JSON.stringify({ time: new Date().toISOString(), level: level.toUpperCase(), msg: message, ...fields })}\n`
}
