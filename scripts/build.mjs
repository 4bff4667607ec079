// `npm run build`: compiles src/ to dist/ when it is stale. Types are checked by `npm run typecheck`.
import { buildIfStale, main } from './lib/prepare.mjs';

await main(buildIfStale);
