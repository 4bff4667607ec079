import type { Checker } from './checker.ts';
import { countsAddUp } from './counts-add-up.ts';
import { nothingLost } from './nothing-lost.ts';
import { placesAgree } from './places-agree.ts';

/** All of them look at every run. */
export const CHECKERS: readonly Checker[] = [nothingLost, countsAddUp, placesAgree];
