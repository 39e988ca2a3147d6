import type { MasterKeyConfig } from '../../../config';

export type TransitConfig = Extract<MasterKeyConfig, { home: 'transit' }>;
