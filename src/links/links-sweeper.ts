import { Injectable, OnModuleInit } from '@nestjs/common';
import { Scheduler } from '../jobs';
import { HOUR } from '../kernel';
import { Links } from './links';

/** Clears expired links away; tickets go by their own index. */
@Injectable()
export class LinksSweeper implements OnModuleInit {
  constructor(
    private readonly links: Links,
    private readonly scheduler: Scheduler,
  ) {}

  onModuleInit(): void {
    this.scheduler.every('links.sweep', HOUR, () => this.links.sweep());
  }
}
