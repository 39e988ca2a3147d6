import { applyToThisProcess } from './settings';

applyToThisProcess();
