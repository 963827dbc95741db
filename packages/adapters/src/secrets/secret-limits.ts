/** Maxima of asking keyrings. Times are milliseconds, sizes bytes. */
export const secretLimits = {
  /** A desktop may ask its user to unlock the keyring, and some services never answer. */
  keyringMs: 20_000,
  /** The kernel answers at once; the program that asks it must be started. */
  kernelMs: 5_000,
  /** What ToolHive allows in the kernel's keyring. */
  passwordBytes: 2_048,
  /** Of what such a program says. */
  outputBytes: 64 * 1024,
  /** What went wrong is part of a sentence. */
  problemLength: 200,
} as const
