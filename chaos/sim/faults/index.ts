import type { SimFault } from '../ground.ts';
import { CLOCK_FAULTS } from './clocks.ts';
import { DATABASE_FAULTS } from './database.ts';
import { LEGACY_FAULTS } from './legacy.ts';
import { MOMENT_FAULTS } from './moments.ts';
import { NETWORK_FAULTS } from './network.ts';
import { OPERATOR_FAULTS } from './operators.ts';
import { PROCESS_FAULTS } from './processes.ts';
import { VIEW_FAULTS } from './views.ts';

/** A schedule draws from these. To change the list is to change what every seed means. */
export const SIM_FAULTS: readonly SimFault[] = [
  ...PROCESS_FAULTS,
  ...NETWORK_FAULTS,
  ...DATABASE_FAULTS,
  ...CLOCK_FAULTS,
  ...OPERATOR_FAULTS,
  ...LEGACY_FAULTS,
  ...MOMENT_FAULTS,
  ...VIEW_FAULTS,
];

/** A focus may name these too. */
export { AIMED_FAULTS } from './aimed.ts';
