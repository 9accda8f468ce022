// Where the package lies: data files (fonts, boards, texts) are read from the source tree, not from dist.
import { fileURLToPath } from 'node:url'

/** Absolute path of the package's root folder; this file runs as dist/hal/base/package-root.js. */
export const packageRoot = fileURLToPath(new URL('../../../', import.meta.url))
