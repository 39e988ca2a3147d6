import { Inject, Injectable, OnModuleInit } from '@nestjs/common';
import { existsSync, readFileSync } from 'node:fs';
import { statfs } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { CONFIG, Config } from './config';
import { Metrics } from './observability';

/** The release, by the nearest package.json above: the sources, the build and the benches lie at different depths. */
function releaseVersion(folder = __dirname): string {
  const path = join(folder, 'package.json');
  if (!existsSync(path)) return releaseVersion(dirname(folder));
  const { version } = JSON.parse(readFileSync(path, 'utf8')) as { version: string };
  return version;
}

/** Tells the metrics what belongs to no module: the build, the quota, and the room in the data folder. */
@Injectable()
export class ProcessFigures implements OnModuleInit {
  constructor(
    @Inject(CONFIG) private readonly config: Config,
    private readonly metrics: Metrics,
  ) {}

  onModuleInit(): void {
    const { dataDir, files } = this.config;
    this.metrics.watched.constants({ version: releaseVersion(), node: process.versions.node }, files.userQuota);
    this.metrics.watched.dataFolder(async () => {
      const { bavail, bsize } = await statfs(dataDir);
      return bavail * bsize;
    });
  }
}
