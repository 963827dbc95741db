/** Maxima of the package adapters. Times are milliseconds, sizes bytes. The product-wide ones are in core's `limits`. */
export const packageLimits = {
  /** What a tool prints to its output; the version list of a large npm package has 1 MB. */
  toolOutputBytes: 8 * 1024 * 1024,
  /** Last lines of a tool that explain a failure. */
  toolLines: 20,
  /** One such line. */
  toolLineLength: 500,
  /** A manifest has a few hundred bytes. */
  manifestBytes: 64 * 1024,
  /** A remembered version likewise. */
  tagBytes: 16 * 1024,
  /** `package.json`, lock and metadata files of installed packages. */
  metadataBytes: 16 * 1024 * 1024,
  /** An unfinished install is given up when it is this old, whoever made it. */
  leftoverMs: 60 * 60 * 1000,
  /** A sign of life for the terminal. */
  progressMs: 5_000,
  /** Versions that an error offers instead. */
  offeredVersions: 5,
  /** Elements of a Go path that are tried as module; the longest known has 9. */
  goPathElements: 16,
  /** An entry's file name; file systems allow 255 bytes, and a suffix follows. */
  entryNameLength: 200,
} as const
