import { Inject, Injectable, OnModuleInit } from '@nestjs/common';
import { statfs } from 'node:fs/promises';
import { CONFIG, Config, releaseVersion } from '../../config';
import { Metrics } from '../../observability';

/**
 * Gives the metrics what no module owns: the build, the quota, and the free space of the data
 * folder.
 */
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
