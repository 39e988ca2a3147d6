import type { MasterKeyConfig } from '../../../config/index';

export type TransitConfig = Extract<MasterKeyConfig, { home: 'transit' }>;
