/**
 * Maxima of the client; spec/local 1.7 unless another reason is given.
 * Times are milliseconds, sizes bytes.
 */
export const clientLimits = {
  answerBytes: 1024 * 1024,
  /** An error that is longer is cut. */
  errorBytes: 64 * 1024,
  /** One call with its answer. An image may be pulled meanwhile. */
  callMs: 10 * 60 * 1000,
  /** What a timer of Node can hold; a longer one would fire at once. */
  maxCallMs: 2_147_483_647,
} as const
