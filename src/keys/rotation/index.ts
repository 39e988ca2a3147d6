export { type Rotation, ROTATION_JOB } from './rotation';
export { RotationJob } from './rotation-job';
export { RotationModule } from './rotation.module';
export { type RotationPage, Rotations } from './rotations';
